"""Raw tables, from files and databases, to rows with their place and their text."""
