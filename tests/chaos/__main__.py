"""Kill everything while turns are posted, and check the database: `python -m tests.chaos --seconds N --seed S`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from app.cli import run
from tests.chaos.options import Options
from tests.chaos.report import table
from tests.chaos.storm import Storm


def main() -> int:
    """Run once and print the table; 1 where anything was not as it must be."""
    given = parsed()
    options = Options(
        seconds=given.seconds,
        seed=given.seed,
        kills=given.kills,
        workers=given.workers,
        fault_seconds=given.fault_seconds,
        pause_seconds=given.pause_seconds,
        api_freeze_seconds=given.api_freeze_seconds,
    )
    started = time.monotonic()
    # Not a folder of this user alone: under root Postgres runs as another account.
    folder = Path(tempfile.mkdtemp(prefix="memory-r1-chaos-"))
    folder.chmod(0o755)
    try:
        outcome = run(Storm(options, folder, tell).run())
        if outcome is None:
            return 130
        print(table(outcome))
        print(f"\nSeed {options.seed}; took {time.monotonic() - started:.0f} seconds.")
        if outcome.faults and given.keep:
            shutil.copytree(folder, given.keep, ignore=shutil.ignore_patterns("data"), dirs_exist_ok=True)
        return 1 if outcome.faults else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parsed() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="the storm's length at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=0, help="the storm goes on until there were so many")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--fault-seconds", type=float, default=2.0, help="mean time between faults from outside")
    parser.add_argument("--pause-seconds", type=float, default=2.5, help="a client's longest pause between posts")
    parser.add_argument("--api-freeze-seconds", type=float, default=0.0, help="0: no API is frozen while it accepts")
    parser.add_argument("--keep", type=Path, help="folder for the logs of a run that failed")
    return parser.parse_args()


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
