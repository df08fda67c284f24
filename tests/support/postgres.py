"""A real PostgreSQL for the tests: a server of its own on a free port of this machine, gone when the tests are."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER, PASSWORD = "medspark_reader", "correct-horse-7fb3"


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl: on the PATH, or where Debian puts them; None where there is no server."""
    found = shutil.which("pg_ctl")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders = [Path(found).resolve().parent] if found else debian
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@dataclass(frozen=True)
class Server:
    """A running server, whose owner is USER with PASSWORD."""

    port: int
    bin: Path

    @property
    def url(self) -> str:
        return f"jdbc:postgresql://127.0.0.1:{self.port}/postgres"

    def run(self, sql: str) -> str:
        """Run SQL on a connection of its own, committed at once; what it answers, without headings."""
        psql = shutil.which("psql", path=f"{self.bin}:{os.environ['PATH']}") or "psql"
        command = [psql, "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", "postgres"]
        done = subprocess.run(
            [*command, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql],
            env={**os.environ, "PGPASSWORD": PASSWORD},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def started(folder: Path) -> Iterator[Server]:
    """A server that runs from the binaries in `folder` while the block does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = Path(tempfile.mkdtemp(prefix="medspark-postgres-"))
    secret = home / "password"
    secret.write_text(PASSWORD)
    as_user: list[str] = []
    if os.geteuid() == 0:  # a server refuses to run as root
        owner = pwd.getpwnam("postgres")
        for path in (home, secret):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        as_user = ["runuser", "-u", "postgres", "--"]

    def do(tool: str, *arguments: str) -> None:
        with (home / "said").open("a") as said:  # a file, for the server keeps a pipe open
            command = [*as_user, str(folder / tool), "-D", str(home / "data"), *arguments]
            done = subprocess.run(command, stdout=said, stderr=said, cwd=home)
        assert done.returncode == 0, (home / "said").read_text()

    try:
        do("initdb", "-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync", "-E", "UTF8")
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        do("pg_ctl", "start", "-w", "-l", str(home / "data" / "log"), "-o", settings)
        try:
            yield Server(port, folder)
        finally:
            do("pg_ctl", "stop", "-w", "-m", "fast")
    finally:
        shutil.rmtree(home)
