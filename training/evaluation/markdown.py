"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def mean(values: Iterable[float]) -> str:
    """The mean to three places; a dash without values."""
    listed = list(values)
    return f"{fmean(listed):.3f}" if listed else "-"
