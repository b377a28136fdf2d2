"""The compose file under a real engine: Docker with its compose plugin, or podman with podman-compose."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
TEST_FILE = "tests/compose/docker-compose.test.yml"
PATIENCE_SECONDS = 900.0
END_SECONDS = 10.0
"""What an interrupted command has until it is killed."""
OF_THE_SHELL = ("MEMORY_R1_", "COMPOSE_", "POSTGRES_", "SERVICE_", "VLLM_", "TORCH_", "SECRETS_", "POLICIES_", "HOST_")
"""Variables of the shell come before those of the environment file, and would change what is tested."""


class Failed(Exception):
    """Something did not become as it has to be: in one line, and what a program said."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(" ".join(message.split()))
        self.details = details


@dataclass(frozen=True)
class Engine:
    """One project of the compose file, with variables of its own."""

    program: str
    """`docker` or `podman`."""
    compose: tuple[str, ...]
    project: str
    env_file: Path
    files: tuple[str, ...] = ("docker-compose.yml", TEST_FILE)

    def run(self, *arguments: str) -> bytes:
        """A compose command; its output. Raises `Failed`."""
        return output([*self.command(), *arguments])

    def command(self) -> list[str]:
        """What stands for `docker compose` in this project."""
        named = [part for file in self.files for part in ("-f", str(ROOT / file))]
        return [*self.compose, *named, "--env-file", str(self.env_file), "-p", self.project]

    def call(self, *arguments: str) -> bytes:
        """A command of the engine itself. Raises `Failed`."""
        return output([self.program, *arguments])

    def up(self) -> None:
        """Bring everything up, as `up -d` does."""
        if self.program == "podman":
            # Podman before 4.6 cannot wait for a health check, nor start what stands on a container that has ended.
            self.up_alone("postgres")
            self.run("up", "-d", "--no-deps", "migrate")
            wait_until("the migrations have ended", lambda: not self.pid("migrate"))
            if status := int(self.inspect("migrate")["State"]["ExitCode"]):
                raise Failed(f"the migrations ended with {status}")
            self.run("up", "-d", "--no-deps", "--no-recreate")
        else:
            self.run("up", "-d")

    def up_alone(self, service: str) -> None:
        """Bring one service up, and wait until it is healthy."""
        self.run("up", "-d", "--no-deps", service)
        self.wait_running(service)
        # An engine that cannot execute anything in a container shows it here, not as a health check that never passes.
        self.call("exec", self.container(service), "true")
        self.wait_healthy(service)

    def container(self, service: str) -> str:
        """The id of a service's container. Raises `Failed` where there is none."""
        label = f"com.docker.compose.project={self.project}"
        of_service = f"com.docker.compose.service={service}"
        found = self.call("ps", "-aq", "--filter", f"label={label}", "--filter", f"label={of_service}").decode().split()
        if len(found) != 1:
            raise Failed(f"{len(found)} containers of {service}, not one")
        return found[0]

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        found: dict[str, Any] = json.loads(self.call("inspect", self.container(service)))[0]
        return found

    def wait_healthy(self, service: str) -> None:
        """Wait for the health check; podman without systemd does not run it by itself."""
        wait_until(f"{service} is healthy", lambda: self._healthy(service))

    def _healthy(self, service: str) -> bool:
        if self.program == "podman":
            return succeeds([self.program, "healthcheck", "run", self.container(service)])
        return bool(self.inspect(service)["State"]["Health"]["Status"] == "healthy")

    def wait_running(self, service: str, not_pid: int = 0) -> None:
        """Wait until a service's container runs, with another process than before."""
        wait_until(f"{service} runs", lambda: self.pid(service) not in (0, not_pid))

    def pid(self, service: str) -> int:
        """The process of a service's container, as this machine numbers it; 0 where it does not run."""
        state = self.inspect(service)["State"]
        return int(state["Pid"]) if state["Running"] else 0

    def kill(self, service: str) -> None:
        """SIGKILL to the process, as the kernel does when memory runs out; the restart policy brings it back."""
        pid = self.pid(service)
        if os.geteuid() == 0 and _is_of(pid, self.container(service)):
            os.kill(pid, signal.SIGKILL)
        else:
            # A kill by the engine counts as wished, so nothing is restarted by itself.
            self.call("kill", self.container(service))
            self.call("start", self.container(service))
        self.wait_running(service, not_pid=pid)

    def stop(self, service: str) -> tuple[int, float]:
        """Stop a service with SIGTERM: its exit status, and the seconds that it took."""
        started = time.monotonic()
        self.run("stop", service)
        return int(self.inspect(service)["State"]["ExitCode"]), time.monotonic() - started

    def logs(self) -> str:
        """The last lines of all containers."""
        done = completed([*self.command(), "logs", "--tail", "30"])
        return (done.stdout + done.stderr).decode(errors="replace")

    def remove(self) -> list[str]:
        """Take everything of the project away, also what a half-done command left; what could not be removed."""
        for _ in range(3):
            completed([*self.command(), "down", "-v", "--remove-orphans"])
            if not self._left():
                return []
            for listed, removed in KINDS:
                if found := self._listed(listed):
                    completed([self.program, *removed, *found])
            time.sleep(1)
        return self._left()

    def _left(self) -> list[str]:
        return [f"{listed[0]} {one}" for listed, _ in KINDS for one in self._listed(listed)]

    def _listed(self, command: Sequence[str]) -> list[str]:
        mine = f"label=com.docker.compose.project={self.project}"
        return completed([self.program, *command, "--filter", mine]).stdout.decode().split()


KINDS = (
    (("ps", "-aq"), ("rm", "-f", "-v")),
    (("network", "ls", "-q"), ("network", "rm")),
    (("volume", "ls", "-q"), ("volume", "rm")),
)
"""How containers, networks and volumes are listed and removed."""


def engine(given: str | None) -> tuple[str, tuple[str, ...]]:
    """The program and the compose command: as given, or what is installed. Raises `Failed` where nothing is."""
    choices = [given] if given else ["docker compose", "podman-compose"]
    for choice in choices:
        compose = tuple(shlex.split(choice))
        program = "podman" if Path(compose[0]).name.startswith("podman") else "docker"
        if shutil.which(compose[0]) and succeeds([*compose, "version"]) and succeeds([program, "ps"]):
            return program, compose
    raise Failed(f"no container engine answers to: {', '.join(choices)}")


def wait_until(what: str, is_so: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something. Raises `Failed` where it does not happen."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise Failed(f"after {seconds:.0f} seconds it is still not so that {what}")
        time.sleep(0.5)


def succeeds(command: Sequence[str]) -> bool:
    """Whether a command ends well; its output is of no interest."""
    return completed(command).returncode == 0


def write_env(path: Path, values: Mapping[str, str]) -> None:
    """An environment file for compose."""
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")


def output(command: Sequence[str]) -> bytes:
    """What a command prints. Raises `Failed` where it fails."""
    done = completed(command)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        last = said.rpartition("\n")[2][-300:]
        raise Failed(f"`{shlex.join(command)}` ended with {done.returncode}: {last}", said[-3000:])
    return done.stdout


def completed(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """A command, run to its end; where this program is interrupted meanwhile, all that it started ends first."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OF_THE_SHELL)}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment,
        # Away from the terminal: Ctrl-C is for this program alone, which then ends the command in order.
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate()
    except BaseException:
        _end(process.pid)
        raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _end(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(pid)
        processes = [started, *started.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(processes, timeout=END_SECONDS)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _is_of(pid: int, container: str) -> bool:
    """Whether a process of this machine is a container's: an engine in a virtual machine has numbers of its own."""
    try:
        parent = psutil.Process(pid).parent()
        return parent is not None and any(part.startswith(container) for part in parent.cmdline())
    except psutil.Error:
        return False
