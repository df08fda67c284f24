"""The `medspark` command."""
