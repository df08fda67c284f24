"""The stages, one file each, named as their command; each is a function of a run and what it works on."""
