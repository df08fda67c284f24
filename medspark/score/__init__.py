"""A bundle and a source to published scores."""
