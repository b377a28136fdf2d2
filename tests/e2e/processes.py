"""The command line as real child processes, each marked, so that a test can show that nothing of it remains."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil  # type: ignore[import-untyped, unused-ignore]

MARK = "E2E_TEST_MARK"
COMMAND = Path(sys.executable).with_name("memory-r1")
PATIENCE = 240.0
"""Seconds for whatever must come, on a slow machine."""


class Service:
    """A `memory-r1` that runs until it is ended; what it prints goes to a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process, self._output = process, output

    def printed(self) -> str:
        return self._output.read_text(errors="replace")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first match in what is printed; fails where the process ends before."""
        found: list[re.Match[str]] = []

        def is_printed() -> bool:
            has_ended = self.process.poll() is not None
            found.extend(re.finditer(pattern, self.printed()))
            assert found or not has_ended, f"ended with {self.process.returncode}:\n{self.printed()}"
            return bool(found)

        assert eventually(is_printed), self.printed()
        return found[0]

    def url(self) -> str:
        """Where it serves, once it does."""
        return self.wait_for(r"ready at (http://\S+)\n")[1]

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


class Workplace:
    """A folder of one test, and everything that is started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, uuid4().hex
        self.data_dir = folder / "data"
        self._count = 0

    def share_model(self, model_dir: Path) -> None:
        """Let the embedded service find the model where it would have put it."""
        (self.data_dir / "models").mkdir(parents=True)
        (self.data_dir / "models" / model_dir.name).symlink_to(model_dir)

    @contextmanager
    def started(self, *arguments: str, **settings: object) -> Iterator[Service]:
        """A command that runs until the block ends at the latest."""
        self._count += 1
        output = self.folder / f"output-{self._count}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [COMMAND, *arguments],
                cwd=self.folder,
                env=self.environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Service(process, output)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE)

    def run(self, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        environment = self.environment(**settings)
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def environment(self, **settings: object) -> dict[str, str]:
        """Nothing but what a test sets, and lines long enough for whatever is printed."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MEMORY_R1_", "FORCE_"))}
        own = {f"MEMORY_R1_{name.upper()}": str(value) for name, value in settings.items()}
        local = {"MEMORY_R1_LOCAL__DATA_DIR": str(self.data_dir)}
        return {**inherited, **local, **own, MARK: self.mark, "COLUMNS": "200"}

    def processes(self) -> list[psutil.Process]:
        """All that descends from this test: by the mark, which Postgres does not inherit, or by the folder."""
        return [process for process in psutil.process_iter() if process.pid != os.getpid() and self._owns(process)]

    def _owns(self, process: psutil.Process) -> bool:
        try:
            named = any(str(self.folder) in argument for argument in process.cmdline())
            ended = process.status() == psutil.STATUS_ZOMBIE
            return not ended and (named or process.environ().get(MARK) == self.mark)
        except psutil.Error:
            return False

    def clear(self) -> list[str]:
        """End what remains, and tell what that was."""
        remaining = self.processes()
        told = [f"{process.pid} {_command_line(process)}" for process in remaining]
        for process in remaining:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(remaining, timeout=30)
        return told


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Whether it becomes true, however long that takes."""
    deadline = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds


def _command_line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())[:200]
    return "?"


def is_one_line_error(finished: subprocess.CompletedProcess[str]) -> bool:
    """Exit code 1 and an error of one line, after the steps that were shown before; no trace."""
    errors = finished.stderr.splitlines()
    return finished.returncode == 1 and errors[-1].startswith("Error: ") and "Traceback" not in finished.stderr
