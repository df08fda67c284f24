"""What Spark's workers run to read sources: Python and Arrow."""
