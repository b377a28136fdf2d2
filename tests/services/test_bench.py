from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMALL = ["--quick", "--embedder", "hashed", "--clients", "1,2", "--latencies", "0", "--turns", "2"]
SMALL += ["--memories", "4", "--sizes", "100", "--searches", "3"]


def test_the_benchmark_prints_every_row() -> None:
    command = [sys.executable, "-m", "tests.bench.service", *SMALL]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    sections = dict(part.split("\n", 1) for part in ran.stdout.split("\n## ")[1:])
    rows = {
        title: [line for line in text.splitlines() if line.startswith("| ")][2:] for title, text in sections.items()
    }
    assert [len(rows[title]) for title in ("Machine", "Turns", "Questions", "Tokens", "Search")] == [5, 2, 2, 3, 4]
    for row in rows["Turns"]:
        assert row.split(" | ")[-1] == "2.00 |"
    for row in rows["Questions"]:
        assert row.split(" | ")[-1] == "1.00 |"
    assert [row.split(" | ")[1:3] for row in rows["Search"]] == [
        [arms, where] for where in ("database call", "HTTP") for arms in ("dense", "hybrid")
    ]
