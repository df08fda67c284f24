"""What Spark keeps of frames."""

from pyspark.sql import SparkSession


def frames_kept(spark: SparkSession) -> int:
    """How many frames a session has been asked to keep, and not yet to free."""
    return spark._jsparkSession.sharedState().cacheManager().numCachedEntries()
