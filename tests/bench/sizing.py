"""How much a number of users takes, from the costs in docs/measurements.md: `python -m tests.bench.sizing`.

The costs are those of the machine that they were measured on. What no measurement tells is an assumption, which an
option changes; the seconds of a model call are one, since they are the model server's.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.settings import DatabaseSettings
from training.evaluation.markdown import table

MEASUREMENTS = Path(__file__).parents[2] / "docs/measurements.md"
SECONDS_A_DAY = 86_400
USERS = (1_000, 10_000, 100_000, 1_000_000)
HEAD = "users a day|turns/s|questions/s|service cores|Postgres cores|processes|connections|model calls at once"
TOKENS = "prompt tokens/s|completion tokens/s"


@dataclass(frozen=True)
class Costs:
    """Of one turn or one question."""

    service_ms: float
    postgres_ms: float
    model_calls: float
    prompt_tokens: float
    completion_tokens: float


@dataclass(frozen=True)
class Assumptions:
    """What is expected of users and machines."""

    turns: float = 20
    questions: float = 5
    peak: float = 3
    busy: float = 0.6
    call_seconds: float = 1

    def told(self) -> str:
        """One line for each."""
        return "\n".join(
            [
                f"- a user who is there sends {self.turns:g} turns and asks {self.questions:g} questions a day,",
                f"- the busiest hour has {self.peak:g} times the load of the mean one,",
                f"- cores are busy for {self.busy:.0%} of the time at that hour,",
                f"- a model call takes {self.call_seconds:g} s.",
            ]
        )


def read_costs(page: Path = MEASUREMENTS) -> tuple[Costs, Costs]:
    """Of a turn and of a question. Raises `ValueError` where the page has no such table."""
    text = page.read_text(encoding="utf-8")
    return (
        Costs(*_cpu(text, "### Turns"), *(_mean(text, f"{what} a turn") for what in _PER)),
        Costs(*_cpu(text, "### Questions"), *(_mean(text, f"{what} a question") for what in _PER)),
    )


def needs(users: int, turn: Costs, question: Costs, assumed: Assumptions) -> list[str]:
    """What so many users a day take at the busiest hour."""
    turns = users * assumed.turns / SECONDS_A_DAY * assumed.peak
    questions = users * assumed.questions / SECONDS_A_DAY * assumed.peak

    def both(name: str) -> float:
        return float(turns * getattr(turn, name) + questions * getattr(question, name))

    service, postgres = (both(name) / 1000 / assumed.busy for name in ("service_ms", "postgres_ms"))
    processes = max(2, math.ceil(service))
    database = DatabaseSettings()
    connections = processes * (database.pool_size + database.max_overflow + 1)
    at_once = both("model_calls") * assumed.call_seconds
    tokens = (both("prompt_tokens"), both("completion_tokens"))
    return [
        f"{users:,}",
        *(f"{value:,.1f}" for value in (turns, questions, service, postgres)),
        *(f"{value:,}" for value in (processes, connections, math.ceil(at_once))),
        *(f"{value:,.0f}" for value in tokens),
    ]


def sizing(assumed: Assumptions, users: Sequence[int] = USERS, page: Path = MEASUREMENTS) -> str:
    """The assumptions and the table."""
    turn, question = read_costs(page)
    columns = [[*HEAD.split("|"), *TOKENS.split("|")], *(needs(count, turn, question, assumed) for count in users)]
    head, *rows = zip(*columns, strict=True)
    return f"{assumed.told()}\n\n{table(head, rows)}"


_PER = ("model calls", "prompt tokens", "completion tokens")


def _cpu(text: str, heading: str) -> tuple[float, float]:
    """The highest mean CPU time of the service and of Postgres, in ms, over all rows of the table."""
    section = text.partition(f"{heading}\n")[2].partition("\n#")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    names = ("CPU ms service", "CPU ms Postgres")
    if len(lines) < 3 or not set(names) <= set(lines[0]):
        raise ValueError(f"{heading!r} has no table with {names}")
    service, postgres = (max(float(line[lines[0].index(name)].split()[0]) for line in lines[2:]) for name in names)
    return service, postgres


def _mean(text: str, name: str) -> float:
    """A cost of the real conversation."""
    found = re.search(rf"^\| {name} \| (?:mean )?([0-9.]+)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no row {name!r}")
    return float(found[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both."""
    usual = Assumptions()
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sizing", description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=USERS, help="users who are there on a day")
    parser.add_argument("--turns", type=float, default=usual.turns, help="turns a user and day")
    parser.add_argument("--questions", type=float, default=usual.questions, help="questions a user and day")
    parser.add_argument("--peak", type=float, default=usual.peak, help="the busiest hour, in mean ones")
    parser.add_argument("--busy", type=float, default=usual.busy, help="share of the time that cores may be busy")
    parser.add_argument("--call-seconds", type=float, default=usual.call_seconds, help="seconds of a model call")
    given = vars(parser.parse_args(arguments))
    users = given.pop("users")
    print(sizing(Assumptions(**given), users))


if __name__ == "__main__":
    main()
