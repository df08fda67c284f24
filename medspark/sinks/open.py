"""The sinks of a deployment."""

from pyspark.sql import SparkSession

from medspark.deploy.deployment import AnySink, DatabaseSink, DeltaTable, Deployment, place_of
from medspark.sinks.delta import DeltaSink
from medspark.sinks.files import FilesSink
from medspark.sinks.jdbc import open_jdbc
from medspark.sinks.publication import Sink


def open_sinks(spark: SparkSession, deployment: Deployment) -> list[Sink]:
    """The sinks in their order.

    Raises:
        TaskError: a database is of a kind that cannot be written to.
    """
    return [_opened(spark, sink) for sink in deployment.sinks]


def _opened(spark: SparkSession, sink: AnySink) -> Sink:
    if isinstance(sink, DatabaseSink):
        return open_jdbc(spark, sink, place_of(sink))
    path, place = sink.path.rstrip("/"), place_of(sink)
    if isinstance(sink, DeltaTable):
        return DeltaSink(spark, path, place)
    return FilesSink(spark.sparkContext, sink.kind, path, place, sink.layout, sink.positive_from)
