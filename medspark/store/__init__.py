"""A store's files and tables, and the facts beside each."""
