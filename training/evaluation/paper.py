"""What Memory-R1 prints of LoCoMo's test split (arXiv 2508.19828, version 5), to stand beside scores on that very set.

None of it was measured here. The paper's column heads are Mem0's, which swap three categories; the cells below stand
under the true ones: weighted by 239, 258, 83 and 727 questions they give the printed overall.
"""

from __future__ import annotations

from typing import NamedTuple

from app.core.locomo import Category


class Cell(NamedTuple):
    """In percent; Mem0's F1 and BLEU-1, and an unnamed judge."""

    f1: float
    bleu1: float
    judge: float


class Row(NamedTuple):
    backbone: str
    method: str
    source: str
    cells: dict[Category | None, Cell]
    """By category; None is overall."""


ORDER = (Category.MULTI_HOP, Category.OPEN_DOMAIN, Category.SINGLE_HOP, Category.TEMPORAL, None)
"""The columns in the paper's order."""

_TABLE_1 = {
    "LLaMA-3.1-8B-Instruct": """
LoCoMo RAG | 12.25/9.77/13.81 | 13.69/10.96/20.48 | 11.59/8.30/15.96 | 9.38/8.15/4.65 | 11.41/8.71/13.62
A-Mem | 21.62/16.93/44.76 | 13.82/11.45/34.93 | 34.67/29.13/49.38 | 25.77/22.14/36.43 | 29.20/24.40/44.76
Mem0 | 27.29/18.63/43.93 | 18.59/13.86/37.35 | 34.03/24.77/52.27 | 26.90/21.06/31.40 | 30.41/22.22/45.68
MemoryOS | 31.89/23.05/52.72 | 13.80/12.78/31.33 | 40.74/33.67/57.36 | 28.74/21.44/23.64 | 35.04/27.99/48.20
Memory-SFT | 34.64/23.73/56.90 | 20.80/16.26/37.35 | 46.47/37.35/63.27 | 47.18/34.58/54.65 | 42.81/32.98/58.76
Memory-R1-PPO | 32.52/24.47/53.56 | 26.86/23.47/42.17 | 45.30/39.18/64.10 | 41.57/26.11/47.67 | 41.05/32.91/57.54
Memory-R1-GRPO | 35.73/27.70/59.83 | 35.65/30.77/53.01 | 47.42/41.24/68.78 | 49.86/38.27/51.55 | 45.02/37.51/62.74
""",
    "Qwen-2.5-7B-Instruct": """
LoCoMo RAG | 9.57/7.00/15.06 | 11.84/10.02/19.28 | 8.67/6.52/12.79 | 8.35/8.74/5.43 | 8.97/7.27/12.17
A-Mem | 18.96/12.86/40.78 | 14.73/12.66/31.32 | 30.58/26.14/46.90 | 23.67/20.67/28.68 | 26.08/21.78/40.78
Mem0 | 24.96/18.05/61.92 | 20.31/15.82/48.19 | 32.74/25.27/65.20 | 33.16/26.28/38.76 | 30.61/23.55/53.30
MemoryOS | 29.55/22.59/48.12 | 21.03/18.41/38.55 | 40.85/36.26/63.14 | 26.26/19.70/24.81 | 34.64/29.36/51.26
Memory-SFT | 27.81/20.25/57.74 | 24.62/22.28/46.99 | 43.33/34.06/66.85 | 44.41/34.32/52.71 | 39.51/30.84/61.13
Memory-R1-PPO | 34.22/23.61/57.74 | 32.87/29.48/53.01 | 44.78/38.72/66.99 | 42.88/30.30/42.25 | 41.72/33.70/59.53
Memory-R1-GRPO | 33.64/26.06/62.34 | 23.55/20.71/40.96 | 46.86/40.92/67.81 | 47.75/38.49/49.61 | 43.14/36.44/61.51
""",
}
_TABLE_3 = {
    "Qwen-2.5-3B-Instruct": """
untrained | 19.82/15.78/46.44 | 11.57/10.22/24.10 | 25.37/20.04/45.67 | 28.94/24.19/29.46 | 24.18/19.46/41.24
Memory-R1-PPO | 28.60/19.02/50.63 | 26.57/22.72/40.96 | 41.06/35.60/58.73 | 43.92/29.73/50.00 | 38.42/30.59/54.40
Memory-R1-GRPO | 30.10/20.00/49.37 | 25.29/22.69/44.58 | 43.01/37.39/65.06 | 47.69/33.36/50.00 | 40.45/32.48/57.92
""",
    "Qwen-2.5-7B-Instruct": """
untrained | 23.61/17.78/60.67 | 17.86/14.40/43.37 | 31.39/24.34/65.75 | 32.66/27.51/40.31 | 29.36/23.14/58.38
""",
    "Qwen-2.5-14B-Instruct": """
untrained | 34.60/26.82/55.23 | 24.24/21.45/38.55 | 39.79/34.53/56.95 | 34.98/29.39/33.33 | 36.91/31.28/50.80
""",
}

KNOWN_SLIP = (
    "The paper prints 53.30 as the overall J of Mem0 on Qwen-2.5-7B; its own columns give 58.30. "
    "Its judge's model is not named."
)


def rows() -> list[Row]:
    """Table 1 whole, and what Table 3 adds: the untrained models, and the 3B."""
    tables = (("Table 1", _TABLE_1), ("Table 3", _TABLE_3))
    return [
        _row(backbone, line, source)
        for source, table in tables
        for backbone, text in table.items()
        for line in text.strip().splitlines()
    ]


def _row(backbone: str, line: str, source: str) -> Row:
    method, *cells = line.split(" | ")
    read = [Cell(*map(float, cell.split("/"))) for cell in cells]
    return Row(backbone, method, source, dict(zip(ORDER, read, strict=True)))
