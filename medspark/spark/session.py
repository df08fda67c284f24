"""The only place that starts Spark, with the settings that keep Spark from losing data quietly."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from threading import Thread
from typing import Any, Final

from pyspark import SparkConf, SparkContext, java_gateway
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from medspark.errors import MedsparkError
from medspark.spark.class_archive import archive_options
from medspark.spark.logs import LOG4J, keep_rows_from_logs
from medspark.spark.spill import spill_folders

SETTINGS: Final = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.hadoop.parquet.page.write-checksum.enabled": "true",
    "spark.hadoop.parquet.page.verify-checksum.enabled": "true",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    # A directory named pid=00123 keeps its zeros
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.execution.arrow.pyspark.validateSchema.enabled": "true",
    # Else PySpark notes the Python line of every column expression, which takes longer than making it
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    # A task of a write that runs twice at once would publish twice
    "spark.speculation": "false",
    # What fails on a row is quoted in logs: executors on other machines, whose settings are not ours, write none
    "spark.executor.syncLogLevel.enabled": "true",
    "spark.log.level": "OFF",
    # What Spark writes is for its owner only, whatever the umask, on any file system that knows of permissions
    "spark.hadoop.fs.permissions.umask-mode": "077",
}
"""Always set: a run without one of these can differ from the run that made the bundle."""

DEFAULTS: Final = {
    "spark.ui.enabled": "false",
    "spark.driver.memory": "4g",
    "spark.sql.shuffle.partitions": "8",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
    # Java compiles no method beyond this size: Spark's larger ones would be interpreted, row after row
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # Else Spark lists thousands of small files by a task for each
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "64",
    # A task that failed is tried again, as on a cluster; plain local[*] would try once
    "spark.master": "local[*,4]",
}
"""Set unless spark-submit or its properties file says otherwise."""

DELTA_SETTINGS: Final = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
"""What Delta Lake asks of a session; set with its package, else nothing is known of them."""


def start_session(name: str, packages: Sequence[str] = ()) -> SparkSession:
    """The session of this process; the arguments and errors are those of `start_context`."""
    start_context(name, packages)
    return the_session()


def the_session() -> SparkSession:
    """The session on this process's context, with medspark's settings; the first time it takes two seconds to make."""
    return SparkSession.builder.config(map={**SETTINGS}).getOrCreate()


def start_context(name: str, packages: Sequence[str] = (), light: bool = False) -> SparkContext:
    """Spark in this process, by spark-submit's settings where it launched us, else on `local[*]`.

    A context that is there already keeps its own settings; a session on it gets SETTINGS.

    Where all that Java does is `light`, to hand out work to Python, it compiles quickly rather than well: its second
    compiler took up to a fifth of the workers' time until it had compiled all. Not where spark-submit launched us.

    `packages` are Maven coordinates, as `packages_for` names them for a source. Spark's own resolver
    fetches them once, into the user's Ivy cache, from where its settings say. A process that spark-submit launched
    has them from there only: `spark-submit --packages org.postgresql:postgresql:42.7.14 jobs/clean.py ...`.

    Raises:
        MedsparkError: Java is missing or too old, or a package could not be fetched.
    """
    launched = "PYSPARK_GATEWAY_PORT" in os.environ
    settings = dict(SETTINGS)
    if not launched:
        java = require_java()
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers in this environment, not the first on PATH
        spill = spill_folders()
        options = [f"-Dlog4j2.configurationFile=file:{LOG4J}", f"-Djava.io.tmpdir={spill.split(',')[0]}"]
        options += [archive_options(java)]
        options += ["-XX:TieredStopAtLevel=1"] if light else []
        settings["spark.driver.extraJavaOptions"] = " ".join(options)
        settings |= {key: os.environ.get(_variable(key), value) for key, value in DEFAULTS.items()}
        if packages:
            settings["spark.jars.packages"] = ",".join(packages)
    if any(package.startswith("io.delta:") for package in packages):
        settings |= DELTA_SETTINGS
    there = SparkContext._active_spark_context is not None
    conf = SparkConf().setAppName(name).setAll(list(settings.items()))
    if not there:
        conf.set("spark.local.dir", spill_folders(conf.get("spark.local.dir")))
    before = os.umask(0o077)  # for Java and the workers that it starts
    try:
        with _java_ended_with_python():
            context = SparkContext.getOrCreate(conf)
    except PySparkRuntimeError as error:
        if not packages or error.getCondition() != "JAVA_GATEWAY_EXITED":
            raise
        raise MedsparkError(
            f"Spark could not start with the packages {', '.join(packages)}: its log says whether they could not be "
            "fetched. Behind a proxy or a mirror, name it in spark.jars.ivySettings, in spark-defaults.conf of "
            "SPARK_CONF_DIR."
        ) from None
    finally:
        os.umask(before)
    if not there:
        keep_rows_from_logs(context)
    return context


def warm_workers(context: SparkContext, module: str) -> None:
    """Have Spark's Python workers on this machine start and import a module, beside what this process does: that takes
    them two seconds.
    """

    def warm() -> None:
        with suppress(Exception):  # what fails, fails again where it is needed
            cores = context.defaultParallelism
            context.parallelize(range(cores), cores).foreach(partial(_import, module))

    if str(context.master).startswith("local["):
        Thread(target=warm, daemon=True).start()


def _import(module: str, _: int) -> None:
    import_module(module)


@contextmanager
def _java_ended_with_python() -> Iterator[None]:
    """End the Java that is launched in the block where a signal ends the block: nobody else would know of it, and a
    Java whose Python goes before it has said where to reach it never ends.
    """
    launched: list[subprocess.Popen[bytes]] = []
    launcher: Any = java_gateway
    popen = launcher.Popen

    def launch(*args: Any, **settings: Any) -> subprocess.Popen[bytes]:
        launched.append(popen(*args, **settings))
        return launched[-1]

    launcher.Popen = launch
    try:
        yield
    except BaseException as error:
        if launched and not isinstance(error, Exception):
            launched[0].kill()
            launched[0].wait()
            SparkContext._gateway = SparkContext._jvm = None
        raise
    finally:
        launcher.Popen = popen


@contextmanager
def batches_of(spark: SparkSession, rows: int | None) -> Iterator[None]:
    """Arrow batches of so many rows for what is planned in the block; None leaves the session's settings.

    Where the caller knows the bytes of a row, Spark need not add them up after each, a seventh of a scan's time.
    """
    arrow = "spark.sql.execution.arrow"
    chosen = {f"{arrow}.maxRecordsPerBatch": str(rows), f"{arrow}.maxBytesPerBatch": str(2**31 - 1)} if rows else {}
    with with_settings(spark, chosen):
        yield


@contextmanager
def with_settings(spark: SparkSession, chosen: Mapping[str, str]) -> Iterator[None]:
    """What is planned in the block is planned by these settings of the session."""
    before = {key: str(spark.conf.get(key)) for key in chosen}
    for key, value in chosen.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, value in before.items():
            spark.conf.set(key, value)


def _variable(key: str) -> str:
    """The environment variable that overrides a default: spark.driver.memory is MEDSPARK_DRIVER_MEMORY."""
    return "MEDSPARK_" + key.removeprefix("spark.").replace(".", "_").upper()


def require_java() -> str:
    """Check for Java 17 or newer before Spark fails with a stack trace; returns what it says of its version.

    Raises:
        MedsparkError: it is missing or older.
    """
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else shutil.which("java")
    hint = "Install a JRE, such as Debian's openjdk-17-jre-headless, or set JAVA_HOME."
    if java is None or not os.path.exists(java):
        raise MedsparkError(f"medspark needs Java 17 or newer to run Spark, and finds none. {hint}")
    text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = text.split('"')[1] if '"' in text else "0"
    if int(version.split(".")[0]) < 17:
        raise MedsparkError(f"medspark needs Java 17 or newer to run Spark, and finds {version}. {hint}")
    return text
