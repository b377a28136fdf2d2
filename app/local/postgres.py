"""A real Postgres, with pgvector, as a child of the service: one owner per data folder, none left when the owner dies.

It listens on 127.0.0.1 with a password and not on a Unix socket: a socket's path must stay below about 100 bytes, and
not every mounted folder can hold one, while this works alike for every user, folder and system.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import psycopg

from app.local.postgres_errors import (
    DataFolderInUse,
    FolderUnreachable,
    LocalPostgresError,
    PostgresFailed,
    WrongVersion,
)
from app.local.postgres_server import (
    free_port,
    fresh_log,
    server,
    settle_predecessor,
    wait_until_ready,
    watchdog,
)
from app.local.postgres_setup import (
    MAJOR_VERSION,
    SUPERUSER,
    Account,
    account_for,
    admit,
    clear_unfinished,
    create_cluster,
    reachable_programs,
)

__all__ = [
    "DataFolderInUse",
    "FolderUnreachable",
    "LocalPostgres",
    "LocalPostgresError",
    "PostgresFailed",
    "WrongVersion",
    "default_data_dir",
]

DATABASE = "memory_r1"
START_ATTEMPTS = 5
# Another program took the free port first; or backends of a killed server are still on their way out.
PASSING_TROUBLES = ("Address already in use", "pre-existing shared memory block")


def default_data_dir() -> Path:
    """Where data go when no folder is set; not in root's home, which is closed to the account Postgres then runs as."""
    if os.geteuid() == 0:
        return Path("/var/lib/memory-r1")
    configured = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (configured if configured.is_absolute() else Path.home() / ".local" / "share") / "memory-r1"


class LocalPostgres:
    """Owns a data folder and the server on it while it is referenced; acknowledged writes survive a kill of either."""

    def __init__(self, data_dir: Path, *, progress: Callable[[str], None] = lambda step: None) -> None:
        self.data_dir = data_dir.expanduser().resolve()
        self.cluster = self.data_dir / "postgres"
        self.password_file = self.data_dir / "postgres.password"
        self.log = self.data_dir / "postgres.log"
        self._progress = progress
        self._resources = ExitStack()
        self._server: subprocess.Popen[bytes] | None = None
        self._url = ""

    @property
    def running(self) -> bool:
        """Whether the server process lives."""
        return self._server is not None and self._server.poll() is None

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the superuser; it holds until `stop`."""
        if not self._url:
            raise LocalPostgresError("The local Postgres is not started; call start() first.")
        return self._url

    def start(self) -> str:
        """Bring the server up, whatever its last owner left behind, and return the URL; again is harmless."""
        if self.running:
            return self.url
        self.stop()
        try:
            with ExitStack() as resources:
                self._url = self._open(resources)
                self._resources = resources.pop_all()
        except (OSError, psycopg.Error) as error:
            raise LocalPostgresError(
                f"Postgres could not be started in {self.data_dir}: {error}. Check that this user owns the folder and "
                "that the disk has room, or choose another folder with MEMORY_R1_LOCAL__DATA_DIR."
            ) from error
        return self._url

    def stop(self) -> None:
        """End the server cleanly and let go of the folder; again is harmless."""
        if self.running:
            self._progress("stopping Postgres")
        self._url = ""
        self._resources.close()
        self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _open(self, resources: ExitStack) -> str:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        resources.enter_context(owned(self.data_dir))
        account = account_for(self.cluster)
        if account:
            admit(account, self.data_dir)
        settle_predecessor(self.cluster, self._progress)
        programs = reachable_programs(account, self.data_dir, self._progress)
        self._prepare_cluster(programs, account)
        unclean = (self.cluster / "postmaster.pid").exists()
        self._progress("recovering after an unclean stop" if unclean else "starting Postgres")
        port = self._serve(resources, programs, account)
        password = self.password_file.read_text()
        ensure_database(port, password)
        return f"postgresql+psycopg://{SUPERUSER}:{password}@127.0.0.1:{port}/{DATABASE}"

    def _prepare_cluster(self, programs: Path, account: Account | None) -> None:
        clear_unfinished(self.cluster)
        if not self.cluster.exists():
            self._progress("creating the database cluster")
            create_cluster(self.cluster, self.password_file, programs, account)
        found = (self.cluster / "PG_VERSION").read_text().strip()
        if found != MAJOR_VERSION:
            raise WrongVersion(self.cluster, found, MAJOR_VERSION)

    def _serve(self, resources: ExitStack, programs: Path, account: Account | None) -> int:
        """Run the server and its watchdog until `resources` close; returns the port that it listens on."""
        for attempt in range(1, START_ATTEMPTS + 1):
            port, log = free_port(), fresh_log(self.log)
            try:
                with ExitStack() as trial:
                    self._server = trial.enter_context(server(programs, self.cluster, port, log, account))
                    trial.enter_context(watchdog(self._server.pid, self.cluster, account))
                    wait_until_ready(self._server, self.cluster, log)
                    resources.enter_context(trial.pop_all())
                    return port
            except PostgresFailed as error:
                if attempt == START_ATTEMPTS or not any(trouble in error.last_words for trouble in PASSING_TROUBLES):
                    raise
                time.sleep(1)
        raise AssertionError("the last attempt returns or raises")


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it when this process ends, however it ends."""
    with (folder / "postgres.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip()
            raise DataFolderInUse(folder, int(owner) if owner.isdigit() else None) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def ensure_database(port: int, password: str) -> None:
    """Create the service's database where the cluster has none."""
    with psycopg.connect(
        host="127.0.0.1", port=port, user=SUPERUSER, password=password, dbname="postgres", autocommit=True
    ) as connection:
        known = connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone()
        if known is None:
            connection.execute(f"create database {DATABASE}")
