"""What Spark's workers run to encode: numpy and Arrow."""
