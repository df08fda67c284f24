"""Java's class data sharing: the classes of a Spark session, parsed and verified once, then mapped at each start.

An archive is for one Java, one Spark and one machine. Where it does not fit, Java leaves it aside without a word.
https://docs.oracle.com/en/java/javase/17/vm/class-data-sharing.html
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyspark

from medspark.errors import MedsparkError


def archive_path(java: str) -> Path:
    """Where the archive is for a Java, by what it says of its version: in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(f"{java} {Path(pyspark.__file__).parent}".encode()).hexdigest()[:12]
    return cache / "medspark" / f"spark-{pyspark.__version__}-{digest}.jsa"


def archive_options(java: str) -> str:
    """What Java is told to use the archive; nothing where there is none."""
    path = archive_path(java)
    if not path.exists():
        return ""
    # Java would print its warnings where a command prints its receipt
    return f'"-XX:SharedArchiveFile={path}" -Xlog:disable -Xlog:all=error:stderr'


def make_archive(java: str) -> Path:
    """Run a session of its own that does what jobs do, and archive the classes that it loaded: about 20 s, 180 MB.

    Raises:
        MedsparkError: Java has written none.
    """
    path = archive_path(java)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # else the session would start from it
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        environment = {**os.environ, "SPARK_SUBMIT_OPTS": f'"-XX:ArchiveClassesAtExit={made}"'}
        command = [sys.executable, "-m", "medspark.spark.class_archive_exercise", folder]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if not made.exists():
            raise MedsparkError(
                "Java wrote no archive of its classes. It writes none where its class path has a folder with files, "
                f"such as SPARK_CONF_DIR's. Its last words: {(done.stdout + done.stderr).strip()[-300:]}"
            )
        made.replace(path)
    return path
