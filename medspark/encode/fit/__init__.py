"""Statistics fitted on the training split."""
