"""Curves of a run as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.metrics_log import Metrics, read

_SMOOTHED = 10
"""Rounds of the moving mean."""
_GROUPS = ("_without_variance", "_not_scored", "")


def draw(metrics: Path, folder: Path) -> list[Path]:
    """A picture for each kind of curve that the metrics have."""
    rounds = read(metrics)
    terms = sorted({name for line in rounds for name in line if name.startswith(("terms/", "local_terms/"))})
    pictures = {
        "reward.png": ["reward", "local_reward"],
        "terms.png": terms,
        "loss.png": ["loss", "value_loss"],
        "groups.png": [f"{kind}groups{which}" for kind in ("", "local_") for which in _GROUPS],
        "rows.png": ["rows_global", "rows_local", "rows_without_advantage", "rows_dropped", "rows_filled_up"],
    }
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for file, names in pictures.items():
        if known := [name for name in names if any(line.get(name) is not None for line in rounds)]:
            _picture(rounds, known, folder / file)
            drawn.append(folder / file)
    return drawn


def _picture(rounds: Sequence[Metrics], names: Sequence[str], path: Path) -> None:
    # Without pyplot, which keeps figures in a global registry and looks for a screen.
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name in names:
        _curve(axes, rounds, name)
    axes.set_xlabel("round")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def _curve(axes: Axes, rounds: Sequence[Metrics], name: str) -> None:
    points = [(line["round"] or 0, value) for line in rounds if (value := line.get(name)) is not None]
    x, y = [number for number, _ in points], [value for _, value in points]
    line = axes.plot(x, y, alpha=0.35 if len(y) > _SMOOTHED else 1.0, label=name)[0]
    if len(y) > _SMOOTHED:
        means = [sum(part) / len(part) for n in range(len(y)) if (part := y[max(0, n + 1 - _SMOOTHED) : n + 1])]
        axes.plot(x, means, color=line.get_color(), label=f"{name}, mean of {_SMOOTHED}")
