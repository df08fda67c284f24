"""What Spark's workers do to keep events by patient."""
