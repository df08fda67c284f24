"""One command at work: its receipt, its console, its place."""
