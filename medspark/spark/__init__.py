"""Settings that Spark is started with."""
