"""What Spark's workers run to clean: images, from files to pixels."""
