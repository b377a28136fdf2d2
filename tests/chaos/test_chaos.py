"""A short storm: every kind of fault and every named step at least once. `make test-long` has the long one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
END_SECONDS = 120


@pytest.mark.timeout(1800)
def test_every_acknowledged_turn_is_applied_once_in_order_while_everything_is_killed() -> None:
    # A process of its own: those that it forks must know nothing of the tests around this one.
    command = [sys.executable, "-m", "tests.chaos", "--seconds", "20", "--seed", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            printed, _ = process.communicate()
        finally:
            if process.poll() is None:
                # Not killed: it has processes and a folder of its own to clear away.
                process.terminate()
                process.wait(END_SECONDS)
    assert process.returncode == 0, printed
