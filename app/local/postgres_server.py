"""The server process on a cluster: its settings, log and end, and the watchdog that ends it when its owner dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped, unused-ignore]

from app.local.postgres_errors import PostgresFailed
from app.local.postgres_setup import Account, spawn

READY_SECONDS = 60
LOG_LIMIT_BYTES = 10 * 1024 * 1024
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Banks mostly grow, and index-only scans need the visibility map to keep up with inserts.
    "autovacuum_vacuum_insert_scale_factor": "0.02",
    "log_destination": "stderr",
    "logging_collector": "off",
    # What users said must not reach the log: no statements, no parameters, no details that quote a row.
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}
# Waits for the owner's end of the pipe to close, then stops the server if it is still the one it was told of. Not
# PR_SET_PDEATHSIG: that exists on Linux alone, and fires already when the *thread* that started the child ends.
WATCH = 'while read -r _; do :; done; read -r now < "$2" && [ "$now" = "$1" ] && kill -INT "$1"'


@dataclass(frozen=True)
class Log:
    """The server's log file, and where this start's part of it begins."""

    path: Path
    start: int

    def text(self) -> str:
        """What was logged since this start."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read().decode(errors="replace")


def fresh_log(path: Path) -> Log:
    """The log to append to; one that grew large is first set aside, in place of the one set aside before it."""
    if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    path.touch(mode=0o600)
    return Log(path, path.stat().st_size)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def server(
    programs: Path, cluster: Path, port: int, log: Log, account: Account | None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process on the cluster, shut down on leaving."""
    settings = {**SETTINGS, "port": str(port), "cluster_name": process_mark(cluster)}
    command = [str(programs / "bin" / "postgres"), "-D", str(cluster)]
    command += [f"-c{name}={value}" for name, value in settings.items()]
    with log.path.open("ab") as output:
        process = spawn(command, cluster, account, stdin=subprocess.DEVNULL, output=output)
    try:
        yield process
    finally:
        shut_down(process.pid, lambda: process.poll() is not None)


@contextmanager
def watchdog(pid: int, cluster: Path, account: Account | None) -> Iterator[None]:
    """While open, the server is shut down should this process die; the watchdog itself ends on leaving."""
    command = ["/bin/sh", "-c", WATCH, "memory-r1-watchdog", str(pid), str(cluster / "postmaster.pid")]
    process = spawn(command, cluster.parent, account, stdin=subprocess.PIPE, output=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.communicate()


def wait_until_ready(process: subprocess.Popen[bytes], cluster: Path, log: Log) -> None:
    """Return when the server takes connections; recovery may take its time as long as the log moves."""
    logged, deadline = -1, 0.0
    while not announces_ready(process.pid, cluster):
        if process.poll() is not None:
            raise PostgresFailed("Postgres ended while it was starting.", log.text())
        if (size := log.path.stat().st_size) != logged:
            logged, deadline = size, time.monotonic() + READY_SECONDS
        elif time.monotonic() > deadline:
            raise PostgresFailed(f"Postgres was not ready {READY_SECONDS} seconds after its last news.", log.text())
        time.sleep(0.02)


def announces_ready(pid: int, cluster: Path) -> bool:
    """Whether the cluster's pid file is this server's and says that it takes connections."""
    # The file and not a connection: on a port that another program took, a connection would prove nothing.
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def settle_predecessor(cluster: Path, progress: Callable[[str], None]) -> None:
    """Stop what outlived its owner, server or backends, and disown a process that merely bears a dead server's id."""
    pid_file = cluster / "postmaster.pid"
    lines = pid_file.read_text().splitlines() if pid_file.exists() else []
    if not lines or not lines[0].isdigit():
        pid_file.unlink(missing_ok=True)
        return
    pid = int(lines[0])
    if runs_on(cluster, pid):
        progress("stopping the Postgres that a killed service left behind")
        shut_down(pid, lambda: not runs_on(cluster, pid))
        return
    dismiss_backends(cluster)
    if psutil.pid_exists(pid):
        # Not removed: Postgres takes its own parent's id for stale, and then still looks for live backends of the dead
        # server by the shared memory that the other lines name.
        pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")


def dismiss_backends(cluster: Path) -> None:
    """Ask the backends of a dead server to end; one that is busy with a query would not notice by itself."""
    for pid in psutil.pids():
        if runs_on(cluster, pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def runs_on(cluster: Path, pid: int) -> bool:
    """Whether a live process is a Postgres of this cluster, server or backend."""
    mark = process_mark(cluster)
    try:
        process = psutil.Process(pid)
        return process.name() == "postgres" and any(mark in argument for argument in process.cmdline())
    except psutil.Error:
        return False


def process_mark(cluster: Path) -> str:
    """What every process of the cluster carries in its title, wherever the folder is moved."""
    # Not told by folder or program: a container's root may not ask for another user's, while all may read titles.
    status = cluster.stat()
    return f"memory-r1-{status.st_dev:x}-{status.st_ino:x}"


def shut_down(pid: int, gone: Callable[[], bool]) -> None:
    """End a server: fast, which closes it cleanly; else immediate, which leaves it to recovery; by force last."""
    for number, patience in ((signal.SIGINT, 30), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
        if gone():
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience
        while not gone() and time.monotonic() < deadline:
            time.sleep(0.02)
