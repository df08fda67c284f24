"""The kinds of features: what the statistics of each answer for."""
