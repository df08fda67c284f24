"""Spark's logs, kept free of rows: what fails on a row is quoted in Java's words and in PySpark's."""

from pathlib import Path
from typing import Any, Final

from pyspark import SparkContext
from pyspark.logger import PySparkLogger

LOG4J: Final = Path(__file__).with_name("log4j2.properties")
"""What the driver's Java logs, and how: no message beyond the name of an exception, no stack but its frames."""

_QUOTING: Final = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
"""PySpark's own, which write the message of each error that they raise to standard error."""


def keep_rows_from_logs(context: SparkContext) -> None:
    """Log as LOG4J says, unless the configuration in force is named medspark, as ours is and a hospital's may be.

    Spark has just set the level OFF, here and for every executor that will register: the driver's is set back.
    """
    for name in _QUOTING:
        PySparkLogger.getLogger(name).disabled = True
    java: Any = context._jvm
    log4j = java.org.apache.logging.log4j
    log = log4j.LogManager.getContext(False)
    own = str(log.getConfiguration().getName()).startswith("medspark")
    where = log.getConfiguration().getConfigurationSource().getURI() if own else java.java.net.URI(LOG4J.as_uri())
    log4j.core.config.Configurator.reconfigure(where)
