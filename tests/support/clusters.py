"""Real clusters for the tests, each of processes of its own that listen on this machine only and end with the block.

`standalone` is Spark's own, a master and two workers. `hadoop` is a NameNode, a DataNode, a ResourceManager and a
NodeManager, from Hadoop's own classes of the version that PySpark has.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark

HOME = Path(pyspark.__file__).parent
JARS = HOME / "jars"
HERE = "127.0.0.1"
READY_SECONDS = 120


class NotHereError(Exception):
    """A cluster cannot run on this machine; the message is why."""


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HERE, 0))
        return [one.getsockname()[1] for one in sockets]


def bare_environment() -> dict[str, str]:
    """What a cluster's machine has: Java and Python, and nothing of this project's environment."""
    java = os.environ.get("JAVA_HOME")
    found = shutil.which("java")
    if not java and not found:
        raise NotHereError("no Java")
    home = java or str(Path(str(found)).resolve().parents[1])
    path = f"{sys.base_prefix}/bin:/usr/bin:/bin"
    return {"PATH": path, "JAVA_HOME": home, "HOME": os.environ.get("HOME", "/tmp"), "SPARK_LOCAL_IP": HERE}


@contextmanager
def process(log: Path, command: list[str], environment: dict[str, str]) -> Iterator[None]:
    """A server that runs while the block does; what it says goes to `log`."""
    with log.open("w") as said:
        server = subprocess.Popen(command, stdout=said, stderr=said, env=environment, cwd=log.parent)
    try:
        yield
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until(ready: Callable[[], bool], what: str, logs: Path) -> None:
    """Wait for a server to answer as it should.

    Raises:
        AssertionError: it does not, with the end of what each server said.
    """
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        try:
            if ready():
                return
        except (OSError, ValueError, LookupError, TypeError):
            pass
        time.sleep(0.5)
    said = "\n".join(f"== {log.name}\n{log.read_text()[-2000:]}" for log in sorted(logs.glob("*.log")))
    raise AssertionError(f"{what} is not ready after {READY_SECONDS} s\n{said}")


def answer(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=5) as response:
        return json.load(response)


# ---------------------------------------------------------------- Spark's own


@contextmanager
def standalone(folder: Path, workers: int = 2) -> Iterator[str]:
    """A master and its workers, each of one core and 1 GB; the master's address."""
    port, page = free_ports(2)
    # Beside the master a second server would listen, for submissions by REST
    environment = {**bare_environment(), "SPARK_DAEMON_JAVA_OPTS": "-Dspark.master.rest.enabled=false"}
    start = [str(HOME / "bin" / "spark-class")]
    master = f"spark://{HERE}:{port}"
    at = ["--host", HERE]
    with ExitStack() as running:
        command = ["org.apache.spark.deploy.master.Master", *at, "--port", str(port), "--webui-port", str(page)]
        running.enter_context(process(folder / "master.log", [*start, *command], environment))
        wait_until(lambda: answer(f"http://{HERE}:{page}/json/")["status"] == "ALIVE", "the master", folder)
        for worker in range(workers):
            work = folder / f"worker{worker}"
            command = ["org.apache.spark.deploy.worker.Worker", *at, "-c", "1", "-m", "1g", "-d", str(work)]
            command += ["--webui-port", "0", master]
            running.enter_context(process(folder / f"worker{worker}.log", [*start, *command], environment))
        wait_until(lambda: answer(f"http://{HERE}:{page}/json/")["aliveworkers"] == workers, "the workers", folder)
        yield master


# ---------------------------------------------------------------- Hadoop


@dataclass(frozen=True)
class Hadoop:
    """A running HDFS and YARN."""

    conf: Path
    """HADOOP_CONF_DIR."""
    files: str
    """hdfs://HOST:PORT"""
    logs: Path
    """What the servers said, and below `containers` what the applications did."""

    def said(self) -> str:
        """The end of what each container said."""
        parts = [path for path in sorted(self.logs.glob("containers/*/*/*")) if path.is_file() and path.stat().st_size]
        return "\n".join(f"== {path}\n{path.read_text(errors='replace')[-3000:]}" for path in parts)


# The servers' jars, resolved as Spark resolves any package: from where the user's settings say, into the user's cache
RESOLVE = """
import sys
from pyspark.sql import SparkSession

excluded = "org.apache.hadoop:hadoop-client-api,org.apache.hadoop:hadoop-client-runtime,org.slf4j:slf4j-api"
builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
builder = builder.config("spark.jars.packages", sys.argv[1]).config("spark.jars.excludes", excluded)
print("JARS=" + builder.getOrCreate().conf.get("spark.jars"))
"""


def hadoop_jars() -> list[str]:
    """Hadoop's servers, of the version whose client PySpark has.

    Raises:
        NotHereError: they cannot be fetched.
    """
    (client,) = JARS.glob("hadoop-client-api-*.jar")
    version = client.stem.removeprefix("hadoop-client-api-")
    wanted = [f"org.apache.hadoop:hadoop-client-minicluster:{version}", "org.bouncycastle:bcpkix-jdk18on:1.78.1"]
    command = [sys.executable, "-c", RESOLVE, ",".join(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "SPARK_LOCAL_IP": HERE})
    found = re.search(r"^JARS=(.+)$", done.stdout, re.M)
    if found is None:
        raise NotHereError(f"{', '.join(wanted)} cannot be fetched")
    return [jar.removeprefix("file://").removeprefix("file:") for jar in found[1].split(",")]


def write_settings(path: Path, settings: dict[str, object]) -> None:
    rows = [f"<property><name>{name}</name><value>{value}</value></property>" for name, value in settings.items()]
    path.write_text("\n".join(["<configuration>", *rows, "</configuration>"]) + "\n")


def write_hadoop_settings(conf: Path, folder: Path) -> tuple[str, str, str]:
    """Write HADOOP_CONF_DIR; the file system, and the pages of the NameNode and the ResourceManager."""
    files, page, manager, scheduler, tracker, admin, cluster = free_ports(7)
    core = {"fs.defaultFS": f"hdfs://{HERE}:{files}", "hadoop.tmp.dir": folder / "data"}
    hdfs = {
        "dfs.replication": 1,
        "dfs.namenode.http-address": f"{HERE}:{page}",
        "dfs.datanode.address": f"{HERE}:0",
        "dfs.datanode.http.address": f"{HERE}:0",
        "dfs.datanode.ipc.address": f"{HERE}:0",
    }
    yarn = {
        "yarn.resourcemanager.hostname": HERE,
        "yarn.resourcemanager.address": f"{HERE}:{manager}",
        "yarn.resourcemanager.scheduler.address": f"{HERE}:{scheduler}",
        "yarn.resourcemanager.resource-tracker.address": f"{HERE}:{tracker}",
        "yarn.resourcemanager.admin.address": f"{HERE}:{admin}",
        "yarn.resourcemanager.webapp.address": f"{HERE}:{cluster}",
        "yarn.nodemanager.hostname": HERE,
        "yarn.nodemanager.address": f"{HERE}:0",
        "yarn.nodemanager.localizer.address": f"{HERE}:0",
        "yarn.nodemanager.webapp.address": f"{HERE}:0",
        "yarn.nodemanager.log-dirs": folder / "containers",
        "yarn.nodemanager.resource.memory-mb": 6144,
        "yarn.nodemanager.resource.cpu-vcores": 4,
        # A disk that is nearly full would make the only machine unhealthy
        "yarn.nodemanager.disk-health-checker.enable": "false",
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.pmem-check-enabled": "false",
        "yarn.scheduler.minimum-allocation-mb": 256,
        "yarn.scheduler.capacity.root.queues": "default",
        "yarn.scheduler.capacity.root.default.capacity": 100,
        "yarn.scheduler.capacity.maximum-am-resource-percent": 1,
    }
    conf.mkdir()
    write_settings(conf / "core-site.xml", core)
    write_settings(conf / "hdfs-site.xml", hdfs)
    write_settings(conf / "yarn-site.xml", yarn)
    return f"hdfs://{HERE}:{files}", f"http://{HERE}:{page}", f"http://{HERE}:{cluster}"


LOG4J = """rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""


@contextmanager
def hadoop(folder: Path) -> Iterator[Hadoop]:
    """HDFS and YARN, with 6 GB for containers.

    Raises:
        NotHereError: Java or Hadoop's servers are not to be had.
    """
    environment, jars = bare_environment(), hadoop_jars()
    conf = folder / "conf"
    files, names, cluster = write_hadoop_settings(conf, folder)
    extras = folder / "servers"
    for page in ("cluster", "node"):  # the jar lacks YARN's, and the servers want their folders
        (extras / "webapps" / page).mkdir(parents=True)
    (extras / "log4j2.properties").write_text(LOG4J)
    java = [
        f"{environment['JAVA_HOME']}/bin/java",
        "-Xmx512m",
        "-cp",
        ":".join([str(extras), str(conf), *jars, f"{JARS}/*"]),
    ]
    hdfs, yarn = "org.apache.hadoop.hdfs.server", "org.apache.hadoop.yarn.server"
    name_node = [*java, f"{hdfs}.namenode.NameNode"]
    subprocess.run([*name_node, "-format", "-nonInteractive"], env=environment, check=True, capture_output=True)

    def nodes() -> bool:
        state = answer(f"{names}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState")["beans"][0]
        return state["NumLiveDataNodes"] == 1 and state["FSState"] == "Operational"

    def machines() -> bool:
        return answer(f"{cluster}/ws/v1/cluster/nodes")["nodes"]["node"][0]["state"] == "RUNNING"

    with ExitStack() as running:
        for name, command in {
            "namenode": name_node,
            "datanode": [*java, f"{hdfs}.datanode.DataNode"],
            "resourcemanager": [*java, f"{yarn}.resourcemanager.ResourceManager"],
            "nodemanager": [*java, f"{yarn}.nodemanager.NodeManager"],
        }.items():
            running.enter_context(process(folder / f"{name}.log", command, environment))
        wait_until(nodes, "HDFS", folder)
        wait_until(machines, "YARN", folder)
        yield Hadoop(conf, files, folder)
