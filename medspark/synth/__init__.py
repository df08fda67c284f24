"""A synthetic hospital: dirty on purpose, with a signal whose true probabilities are known."""
