"""The documentation as pages: built without a warning, and complete without any other server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.sizing import Assumptions, Costs, needs, read_costs
from tests.docs.pages import ROOT

LOADED = re.compile(r'<(?:script|img|iframe|source)[^>]+src="([^"]+)"|<link[^>]+href="([^"]+)"')
IMPORTED = re.compile(r"@import|url\(['\"]?(?:https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not (site / page).exists()} == set()


def test_nothing_is_loaded_from_another_server(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = {one or other for one, other in LOADED.findall(page.read_text())}
        assert {url for url in loaded if url.startswith(("http:", "https:", "//"))} == set(), page
    for sheet in site.rglob("*.css"):
        assert not IMPORTED.search(sheet.read_text()), sheet


def test_the_api_is_whole_and_no_giant(site: Path) -> None:
    page = (site / "reference/api.html").read_text()
    text = re.sub(r"<[^>]+>", "", page)
    for what in ("/v1/banks/{bank}/answer", "/v1/webhooks", "Answered", "rate-limited"):
        assert what in text
    assert ">Endpoints<" not in page, "a path in two groups"
    assert len(page) < 2_000_000


def test_sizing_is_arithmetic_on_what_was_measured() -> None:
    turn, question = Costs(100, 20, 2, 1000, 50), Costs(40, 10, 1, 2000, 20)
    assumed = Assumptions(turns=8640, questions=8640, peak=2, busy=0.5, call_seconds=3)
    # 10 users: 2 turns and 2 questions a second.
    assert needs(10, turn, question, assumed) == ["10", "2.0", "2.0", "0.6", "0.1", "2", "42", "18", "6,000", "140"]


def test_sizing_needs_its_measurements(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("### Turns\n\nnothing\n")
    with pytest.raises(ValueError, match="Turns"):
        read_costs(page)
