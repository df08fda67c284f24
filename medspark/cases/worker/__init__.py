"""What Spark's workers run to make cases of histories: numpy and Arrow."""
