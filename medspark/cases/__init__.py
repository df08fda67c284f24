"""Records to cases: who is eligible, what happened to them, which split they are in."""
