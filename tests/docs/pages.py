"""The blocks of code of the documentation, which of them are run, and why the others are not."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from tests.docs.shell import commands

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = {"docs/reference/cli.md"}
"""Its blocks show usage, and the page is what the program prints."""
LANGUAGES = {"bash", "python", "ts", "json", "sql", "ini", "text"}

RUN = {"docs/quickstart.md", "docs/connect.md", "docs/upgrade.md", "docs/streaming.md", "docs/scaling.md"}
"""Pages whose blocks of bash `test_run.py` runs, but for those with a command below."""
_NEVER_ENDS = "runs until it is ended; tests/e2e/test_embedded.py serves, tests/e2e/test_demo.py runs the demo"
_INSTALLS = "installs packages; the tests run on what it installs"
_CONTAINERS = "needs a container engine; `python -m tests.compose` runs the commands of this page"
_MODELS = (
    "needs a model server with adapters; tests/services/test_cli_policies.py runs these commands on a scripted one"
)
_GPUS = "needs several machines or GPUs"
NOT_RUN: dict[tuple[str, str], str] = {
    ("README.md", ""): "tests/e2e/test_embedded.py and test_demo.py do the same; the quickstart's are run",
    ("docs/index.md", "make"): _NEVER_ENDS,
    ("docs/quickstart.md", "make serve"): _NEVER_ENDS,
    ("docs/quickstart.md", "source"): "the tests run in that environment",
    ("docs/connect.md", "pip install"): _INSTALLS,
    ("docs/connect.md", "make sdks-install"): _INSTALLS,
    ("docs/upgrade.md", "memory-r1 doctor"): "fails without a model server; tests/cli/test_doctor.py runs it",
    ("docs/scaling.md", "docker compose"): _CONTAINERS,
    ("docs/scaling.md", "memory-r1 policies"): _MODELS,
    ("docs/scaling.md", "accelerate"): _GPUS,
    ("docs/scaling.md", "ray"): _GPUS,
    ("docs/hosting.md", ""): _CONTAINERS,
    ("docs/policies.md", ""): _MODELS,
    ("docs/mcp.md", "memory-r1"): _NEVER_ENDS,
    ("docs/chat-proxy.md", "memory-r1"): _NEVER_ENDS,
    (
        "docs/measurements.md",
        "",
    ): "takes most of an hour, and a file that is not ours to ship; tests/services/test_bench.py",
    (
        "docs/training.md",
        "",
    ): "takes minutes to days; tests/training/test_cli.py and tests/training_engine/ run the steps",
}
"""By page and the beginning of a command: why its block is checked alone."""


@dataclass(frozen=True)
class Block:
    """One block of code."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def reasons(self) -> set[tuple[str, str]]:
        """Which entries of `NOT_RUN` hold it back."""
        said = [" ".join(command) for command in commands(self.text)]
        return {
            (page, start) for page, start in NOT_RUN if page == self.page and any(one.startswith(start) for one in said)
        }


@functools.cache
def blocks() -> tuple[Block, ...]:
    """All of them, page by page."""
    pages = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
    named = [(page.relative_to(ROOT).as_posix(), page) for page in pages]
    return tuple(block for name, page in named if name not in GENERATED for block in _blocks_of(name, page.read_text()))


def blocks_of(page: str, language: str, *, only_run: bool = True) -> list[Block]:
    """Those of a page in a language; of bash, those alone that are run."""
    found = [block for block in blocks() if (block.page, block.language) == (page, language)]
    return [block for block in found if not (only_run and language == "bash" and block.reasons())]


def _blocks_of(name: str, text: str) -> list[Block]:
    found = []
    for token in MarkdownIt("commonmark").parse(text):
        if token.type in ("fence", "code_block") and token.map is not None:
            language = token.info.strip() or ("indented" if token.type == "code_block" else "")
            found.append(Block(name, token.map[0] + 1, language, token.content))
    return found
