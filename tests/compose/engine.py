"""The compose file under a real engine: Docker with its compose plugin, or podman with podman-compose."""

from __future__ import annotations

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

ROOT = Path(__file__).parents[2]
TEST_FILE = "tests/compose/docker-compose.test.yml"
PATIENCE_SECONDS = 900.0


class Failed(Exception):
    """Something did not become as it has to be."""


@dataclass(frozen=True)
class Engine:
    """One project of the compose file, with variables of its own."""

    program: str
    """`docker` or `podman`."""
    compose: tuple[str, ...]
    project: str
    env_file: Path
    files: tuple[str, ...] = ("docker-compose.yml", TEST_FILE)

    def run(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """A compose command; its output. Raises `Failed`."""
        return _run([*self.command(), *arguments], stdin)

    def command(self) -> list[str]:
        """What stands for `docker compose` in this project."""
        named = [part for file in self.files for part in ("-f", str(ROOT / file))]
        return [*self.compose, *named, "--env-file", str(self.env_file), "-p", self.project]

    def call(self, *arguments: str) -> bytes:
        """A command of the engine itself. Raises `Failed`."""
        return _run([self.program, *arguments], None)

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
        if pid and os.geteuid() == 0 and Path(f"/proc/{pid}").exists():
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
        command = [*self.command(), "logs", "--tail", "30"]
        done = subprocess.run(command, capture_output=True, check=False, cwd=ROOT)
        return (done.stdout + done.stderr).decode(errors="replace")


def engine(given: str | None) -> tuple[str, tuple[str, ...]]:
    """The program and the compose command: as given, or what is installed. Raises `Failed` where nothing is."""
    choices = [given] if given else ["docker compose", "podman-compose"]
    for choice in choices:
        compose = tuple(shlex.split(choice))
        program = "podman" if compose[0].startswith("podman") else "docker"
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
    return subprocess.run(command, capture_output=True, check=False, cwd=ROOT).returncode == 0


def write_env(path: Path, values: Mapping[str, str]) -> None:
    """An environment file for compose."""
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")


def _run(command: Sequence[str], stdin: bytes | None) -> bytes:
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, cwd=ROOT)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-2000:]
        raise Failed(f"`{shlex.join(command)}` ended with {done.returncode}: {said}")
    return done.stdout
