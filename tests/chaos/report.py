"""The table of a run."""

from __future__ import annotations

from collections import Counter

from tests.chaos.storm import Outcome
from tests.chaos.verify import KINDS

MOST_FAULTS = 40


def table(outcome: Outcome) -> str:
    """Markdown: the counts, and every violation in words."""
    parts = [
        ("What was held", counted(held(outcome))),
        ("Kills by SIGKILL", counted({**outcome.tally.kills, **named("at ", outcome.steps)})),
        ("Frozen, or cut off", counted({**outcome.tally.others, **named("frozen at ", outcome.stops)})),
        ("Restarts", counted({**outcome.tally.restarts, **named("failed starts of ", outcome.tally.failed_starts)})),
        ("Faults of the model", counted(outcome.model_faults)),
        ("Answers over HTTP", counted(outcome.ledger.statuses)),
    ]
    text = "\n\n".join(f"## {title}\n\n{body}" for title, body in parts)
    faults = outcome.faults
    if faults:
        more = [f"- and {len(faults) - MOST_FAULTS} more"] if len(faults) > MOST_FAULTS else []
        text += "\n\n## Violations\n\n" + "\n".join([*(f"- {fault}" for fault in faults[:MOST_FAULTS]), *more])
    return text


def held(outcome: Outcome) -> dict[str, object]:
    """The counts that must be so, first."""
    ledger, stored = outcome.ledger, outcome.stored
    assert stored is not None
    operations = Counter(f"{line.kind} {line.verdict}" for line in stored.operations)
    by_kind = Counter(violation.kind for violation in outcome.violations)
    return {
        "acknowledged turns": len(ledger.acknowledged),
        "turns stored": len(stored.turns),
        **{kind: by_kind[kind] for kind in KINDS},
        "answers that showed another tenant's text": len(ledger.leaked),
        "posts never acknowledged": len(ledger.unacknowledged),
        "HTTP 500": ledger.errors_500(),
        "wrong answers": len(ledger.wrong),
        "processes that ended by themselves": len(outcome.tally.died),
        "turns that failed and were put back, at most": len(ledger.retried),
        "turns posted again and known": ledger.duplicates,
        "kills": outcome.kills,
        "banks": len(stored.lanes),
        **{f"operations: {name}": count for name, count in sorted(operations.items())},
        "seconds of storm": f"{outcome.storm_seconds:.0f}",
        "seconds until all was done": f"{outcome.calm_seconds:.0f}",
    }


def named(before: str, counts: Counter[str]) -> dict[str, int]:
    return {f"{before}{name}": count for name, count in sorted(counts.items())}


def counted(counts: dict[str, object] | dict[str, int] | Counter[str]) -> str:
    """A table of two columns."""
    rows = [f"| {name} | {count} |" for name, count in counts.items()]
    return "\n".join(["| | |", "|---|---:|", *rows])
