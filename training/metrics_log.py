"""The metrics of a run: one JSON line a round, and the same for TensorBoard."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Metrics = dict[str, float | None]

FILE = "metrics.jsonl"


class MetricsLog:
    """Writes a run's metrics. A resumed run takes back the rounds that its checkpoint does not know of."""

    def __init__(self, folder: Path, *, after_round: int, tensorboard: bool) -> None:
        self.path = folder / FILE
        folder.mkdir(parents=True, exist_ok=True)
        _keep_up_to(self.path, after_round)
        self._board = _board(folder / "tensorboard", after_round) if tensorboard else None

    def write(self, number: int, metrics: Mapping[str, float | None]) -> None:
        """The metrics of a round; what is no finite number is None."""
        line = {"round": number} | {name: _finite(value) for name, value in metrics.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._board:
            for name, value in line.items():
                if value is not None and name != "round":
                    self._board.add_scalar(name, value, number)

    def close(self) -> None:
        if self._board:
            self._board.close()


def read(path: Path) -> list[Metrics]:
    """The rounds of a metrics file, oldest first; a last line that a kill cut short is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]


def _keep_up_to(path: Path, last: int) -> None:
    kept = [line for line in read(path) if (line["round"] or 0) <= last]
    making = path.with_suffix(".making")
    making.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    os.replace(making, path)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _board(folder: Path, after_round: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=after_round + 1)
