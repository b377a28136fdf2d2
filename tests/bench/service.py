"""The service's own time, measured with a scripted model server: `python -m tests.bench.service [--quick]`."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.db import migrate
from app.local.postgres import LocalPostgres
from tests.bench import report
from tests.bench.load import Cell, Load
from tests.bench.processes import Measured, running
from tests.bench.searching import Found, searches
from tests.fixtures.doubles import HashEmbedder

MODEL = {"packaged": "all-MiniLM-L6-v2", "hashed": HashEmbedder().model}


@dataclass
class Results:
    """What the tables are made of."""

    turns: list[Cell] = field(default_factory=list)
    backlogs: dict[tuple[float, int], list[float]] = field(default_factory=dict)
    questions: list[Cell] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)


def main() -> None:
    """Measure, and print Markdown."""
    options = parsed(sys.argv[1:])
    started, load_before = time.monotonic(), os.getloadavg()
    with postgres() as server, running(server, server.data_dir.parent, options.embedder) as measured:
        results = asyncio.run(measure(measured, options))
        machine = report.machine(server.url, options.embedder, options.runs, load_before)
    for title, text in (
        ("Machine", machine),
        ("Turns", report.turns(results.turns, results.backlogs)),
        ("Questions", report.questions(results.questions)),
        ("Tokens", report.tokens([*results.turns, *results.questions])),
        ("Search", report.search(results.found)),
    ):
        print(f"\n## {title}\n\n{text}")
    print(f"\nTook {time.monotonic() - started:.0f} seconds.")


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options; `--quick` only changes what is left unset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test of some seconds")
    parser.add_argument("--embedder", choices=sorted(MODEL), default="packaged")
    parser.add_argument("--latencies", type=numbers, help="milliseconds of a model call, as 0,50")
    parser.add_argument("--clients", type=numbers, help="clients at once, as 1,8,32")
    parser.add_argument("--turns", type=int, help="turns for each client in a run, at least 30 in all")
    parser.add_argument("--memories", type=int, default=60, help="turns whose memories are in each bank that is asked")
    parser.add_argument("--sizes", type=numbers, help="memories in the banks that are searched")
    parser.add_argument("--searches", type=int, help="searches of each kind")
    parser.add_argument("--runs", type=int)
    options = parser.parse_args(arguments)
    defaults = {"latencies": [0, 50], "clients": [1, 8, 32], "turns": 6, "sizes": [1_000, 10_000, 100_000]}
    defaults |= {"searches": 40, "runs": 2}
    quick = {"latencies": [0, 20], "clients": [1, 4], "turns": 3, "sizes": [200, 1_000], "searches": 5, "runs": 1}
    for name, value in (quick if options.quick else defaults).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


async def measure(measured: Measured, options: argparse.Namespace) -> Results:
    """Every cell, the runs of one cell apart from each other, so that a disturbance does not hit all of them."""
    results, load = Results(), Load(measured)
    least = 4 if options.quick else 30
    await load.set_latency(0)
    await load.turns(0, 2, 6)
    for run in range(options.runs):
        for latency in options.latencies:
            for clients in options.clients:
                count = max(least, options.turns * clients)
                tell(f"run {run + 1}: {clients} clients, model {latency} ms, {count} turns and questions")
                await load.set_latency(latency)
                results.turns.append(await load.turns(latency, clients, count))
                backlog = await load.backlog(latency, clients, count)
                results.backlogs.setdefault((latency, clients), []).append(backlog)
                results.questions.append(await load.questions(latency, clients, count, options.memories))
    for size in options.sizes:
        tell(f"search in {size} memories")
        results.found += await searches(measured, size, options.searches, MODEL[options.embedder])
    return results


def tell(step: str) -> None:
    print(step, file=sys.stderr, flush=True)


@contextmanager
def postgres() -> Iterator[LocalPostgres]:
    """A server in a folder of its own, at the newest schema."""
    # Not a folder of this user alone: under root Postgres runs as another account.
    folder = Path(tempfile.mkdtemp(prefix="memory-r1-bench-"))
    folder.chmod(0o755)
    try:
        with LocalPostgres(folder / "data") as server:
            migrate.upgrade(server.url)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
