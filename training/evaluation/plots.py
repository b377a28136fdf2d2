"""The results as pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.evaluation.bootstrap import Estimate
from training.evaluation.losses import Loss
from training.evaluation.measures import ALL, PAIRED, GroupScores, Results, SystemScores
from training.evaluation.report import column

_COLOURS = {
    Loss.RIGHT: "#2e7d32",
    Loss.ANSWERED_WRONG: "#c0ca33",
    Loss.NOT_DISTILLED: "#fbc02d",
    Loss.NOT_RETRIEVED: "#fb8c00",
    Loss.REMOVED: "#e64a19",
    Loss.NOT_STORED: "#b71c1c",
    Loss.NOT_EXTRACTED: "#6a1b9a",
    Loss.NO_EVIDENCE: "#90a4ae",
    Loss.FAILED: "#37474f",
}


_DARK = (Loss.RIGHT, Loss.NOT_STORED, Loss.REMOVED, Loss.NOT_EXTRACTED, Loss.FAILED)
_PANELS = 6


def draw(results: Results, folder: Path) -> list[Path]:
    """F1 by category with its intervals, and where questions were lost; nothing where no question has an answer."""
    systems = {name: system for name, system in results.systems.items() if ALL in system.groups}
    if not systems:
        return []
    paths = [folder / "f1_by_category.png", folder / "losses.png"]
    _f1(systems, results.is_locomo).savefig(paths[0], dpi=120)
    _losses({name: system.groups[ALL] for name, system in systems.items()}).savefig(paths[1], dpi=120)
    return paths


def _f1(systems: dict[str, SystemScores], is_locomo: bool) -> Figure:
    """A panel for all questions and for each of the largest categories, a bar for each system."""
    sizes = {name: scores.questions for system in systems.values() for name, scores in system.groups.items()}
    groups = sorted(sizes, key=lambda name: (name != ALL, -sizes[name], name))[:_PANELS]
    rows = math.ceil(len(groups) / 3)
    figure = _figure(16, rows * (1.4 + 0.27 * len(systems)))
    panels = figure.subplots(rows, 3, squeeze=False, sharex=True, sharey=True).flat
    colours = colormaps["tab20"](np.linspace(0, 1, 20))
    for axes, group in zip(panels, groups, strict=False):
        for place, system in enumerate(systems.values()):
            if group in system.groups:
                _bar(axes, place, system.groups[group].scores[PAIRED], colours[place % 20])
        axes.set_title(f"{column(group, is_locomo=is_locomo)}, {sizes[group]} questions", fontsize=10)
        axes.grid(axis="x", alpha=0.3)
        axes.tick_params(labelsize=8)
        axes.set_xlabel("F1 (Mem0's) in percent, with 95% interval", fontsize=8)
    for axes in list(panels)[len(groups) :]:
        axes.set_visible(False)
    first = figure.axes[0]
    first.set_yticks(range(len(systems)), list(systems))
    first.set_xlim(left=0)
    first.invert_yaxis()
    return figure


def _bar(axes: Axes, place: int, score: Estimate, colour: Any) -> None:
    mean, low, high = (100 * one for one in (score.mean, score.low, score.high))
    # An interval of a skewed sample may leave out its mean.
    sides = [[max(0, mean - low)], [max(0, high - mean)]]
    axes.barh([place], [mean], 0.75, color=colour)
    axes.errorbar([mean], [place], xerr=sides, fmt="none", ecolor="#333333", elinewidth=1, capsize=2)


def _losses(systems: dict[str, GroupScores]) -> Figure:
    """A bar for each system, divided by what became of its questions."""
    figure = _figure(11, 1.8 + 0.42 * len(systems))
    axes = figure.add_subplot()
    left = np.zeros(len(systems))
    for loss, colour in _COLOURS.items():
        counts = np.array([group.losses[loss] for group in systems.values()])
        if not counts.any():
            continue
        bars = axes.barh(list(systems), counts, left=left, color=colour, label=loss.value, height=0.7)
        wide = counts > 0.02 * sum(group.questions for group in systems.values()) / len(systems)
        labels = [str(count) if is_wide else "" for count, is_wide in zip(counts, wide, strict=True)]
        axes.bar_label(bars, labels, label_type="center", fontsize=7, color="white" if loss in _DARK else "black")
        left = left + counts
    axes.invert_yaxis()
    axes.margins(y=0.02)
    axes.set_xlabel("questions")
    axes.tick_params(axis="y", labelsize=8)
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _figure(width: float, height: float) -> Figure:
    # Without pyplot, which keeps figures in a global registry and looks for a screen.
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
