"""What Spark's workers run to score: numpy, Arrow and LiteRT."""
