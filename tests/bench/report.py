"""What was measured, as Markdown; and the machine that it was measured on."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import psycopg

from tests.bench.load import Cell, percentile
from tests.bench.searching import Found
from training.evaluation.markdown import table

PACKAGES = ("fastapi", "uvicorn", "sqlalchemy", "psycopg", "pydantic", "openai")


def machine(url: str, embedder: str, runs: int, load_before: tuple[float, float, float]) -> str:
    """Cores, model, versions, load."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        server = connection.execute(
            "SELECT current_setting('server_version'), extversion FROM pg_extension WHERE extname = 'vector'"
        ).fetchone()
    postgres, pgvector = server or ("?", "?")
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    before, after = (" / ".join(f"{x:.1f}" for x in load) for load in (load_before, os.getloadavg()))
    return table(
        ["what", "value"],
        [
            ["machine", f"{os.cpu_count()} cores, {cpu_model()}, {platform.system()} {platform.machine()}"],
            ["load average before and after", f"{before} and {after}"],
            ["versions", f"Python {platform.python_version()}, Postgres {postgres}, pgvector {pgvector}, {packages}"],
            ["embedder", embedder],
            ["runs of each cell", str(runs)],
        ],
    )


def cpu_model() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def turns(cells: Sequence[Cell], backlogs: dict[tuple[float, int], list[float]]) -> str:
    """A row for each latency and number of clients."""
    head = ["model ms", "clients", "turns", "own ms p50 (runs)", "own ms p95", "ack ms p50 (runs)", "ack ms p95"]
    head += ["turns/s", "backlog turns/s", "CPU ms service", "CPU ms Postgres", "model calls"]
    rows = []
    for latency, clients, same in grouped(cells):
        backlog = backlogs.get((latency, clients), [])
        rows.append(
            [
                f"{latency:g}",
                str(clients),
                str(sum(len(cell.own_ms) for cell in same)),
                median_with_spread(same, lambda c: percentile(c.own_ms, 0.5)),
                f"{percentile([x for c in same for x in c.own_ms], 0.95):.1f}",
                median_with_spread(same, lambda c: percentile(c.ack_ms, 0.5)),
                f"{percentile([x for c in same for x in c.ack_ms], 0.95):.1f}",
                median_with_spread(same, lambda c: c.per_second),
                f"{statistics.median(backlog):.1f}" if backlog else "-",
                median_with_spread(same, lambda c: c.service_cpu_ms),
                median_with_spread(same, lambda c: c.postgres_cpu_ms),
                f"{statistics.mean(c.calls for c in same):.2f}",
            ]
        )
    return table(head, rows)


def questions(cells: Sequence[Cell]) -> str:
    """A row for each latency and number of clients."""
    head = ["model ms", "clients", "questions", "own ms p50 (runs)", "own ms p95", "questions/s"]
    head += ["CPU ms service", "CPU ms Postgres", "model calls"]
    rows = [
        [
            f"{latency:g}",
            str(clients),
            str(sum(len(cell.own_ms) for cell in same)),
            median_with_spread(same, lambda c: percentile(c.own_ms, 0.5)),
            f"{percentile([x for c in same for x in c.own_ms], 0.95):.1f}",
            median_with_spread(same, lambda c: c.per_second),
            median_with_spread(same, lambda c: c.service_cpu_ms),
            median_with_spread(same, lambda c: c.postgres_cpu_ms),
            f"{statistics.mean(c.calls for c in same):.2f}",
        ]
        for latency, clients, same in grouped(cells)
    ]
    return table(head, rows)


def tokens(cells: Sequence[Cell]) -> str:
    """Tokens of a call by role, at four characters each."""
    by_role: dict[str, list[tuple[float, float]]] = {}
    for cell in cells:
        for role, used in cell.tokens.items():
            by_role.setdefault(role, []).append(used)
    rows = [
        [role, f"{statistics.mean(p for p, _ in used):.0f}", f"{statistics.mean(c for _, c in used):.0f}"]
        for role, used in sorted(by_role.items())
    ]
    return table(["role", "prompt tokens a call (about)", "completion tokens a call (about)"], rows)


def search(found: Sequence[Found]) -> str:
    """A row for each size of bank, arms and place."""
    rows = [
        [
            f"{one.size:,}",
            one.arms,
            one.where,
            str(len(one.ms)),
            f"{percentile(one.ms, 0.5):.1f}",
            f"{percentile(one.ms, 0.95):.1f}",
            f"{min(one.ms):.1f}-{max(one.ms):.1f}",
        ]
        for one in found
    ]
    return table(["memories in the bank", "arms", "where", "searches", "ms p50", "ms p95", "ms min-max"], rows)


def grouped(cells: Sequence[Cell]) -> list[tuple[float, int, list[Cell]]]:
    """Runs of the same latency and number of clients."""

    def of(cell: Cell) -> tuple[float, int]:
        return cell.latency_ms, cell.clients

    return [(latency, clients, list(same)) for (latency, clients), same in groupby(sorted(cells, key=of), key=of)]


def median_with_spread(cells: Sequence[Cell], value: Callable[[Cell], float]) -> str:
    """The median of the runs, and their smallest and largest."""
    values = [value(cell) for cell in cells]
    middle = f"{statistics.median(values):.1f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.1f}-{max(values):.1f})"
