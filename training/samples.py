"""Sampled replies as text that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.engine import Row


@dataclass(frozen=True)
class Sample:
    """A reply with what it was worth."""

    row: Row
    reply: str
    reward: float | None
    """None: it could not be scored."""
    terms: Mapping[str, float]
    advantage: float | None
    """Against the group; None where a critic gives another to each token."""


def write(folder: Path, number: int, samples: Sequence[Sample], prompts: int) -> Path:
    """A file with the replies of a round to its first prompts."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.row.id, []).append(sample)
    parts = [f"Round {number}"]
    for group in list(groups.values())[:prompts]:
        parts.append(f"{'=' * 100}\n{group[0].row.id}\n\n{_asked(group[0].row)}")
        parts += [f"--- {_worth(sample)}\n{sample.reply}" for sample in group]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"round_{number:05d}.txt"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _asked(row: Row) -> str:
    """What varies of a prompt: its last message."""
    return row.prompt if isinstance(row.prompt, str) else row.prompt[-1].content


def _worth(sample: Sample) -> str:
    if sample.reward is None:
        return "not scored"
    terms = ", ".join(f"{name} {value:.3f}" for name, value in sample.terms.items())
    against = "" if sample.advantage is None else f", advantage {sample.advantage:+.3f}"
    return f"reward {sample.reward:.3f}{f' ({terms})' if terms else ''}{against}"
