"""What is written down is true: settings, commands, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from app.cli import cli
from app.cli_reference import commands_reference
from app.settings_doc import settings_reference, undocumented

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_settings_page_is_the_settings() -> None:
    assert (ROOT / "docs/reference/settings.md").read_text() == settings_reference(), "run `make settings-doc`"


def test_the_page_of_commands_is_the_commands() -> None:
    assert (ROOT / "docs/reference/cli.md").read_text() == commands_reference(cli), "run `make cli-doc`"


def test_every_setting_has_a_description() -> None:
    assert undocumented() == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_pages_name_exist(page: Path) -> None:
    known = set(re.findall(r"MEMORY_R1_[A-Z0-9_]+__[A-Z0-9_]+", settings_reference()))
    assert set(re.findall(r"MEMORY_R1_[A-Z0-9_]+__[A-Z0-9_]+", page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_and_commands_that_pages_name_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = set(get_command(cli).commands)  # type: ignore[attr-defined]
    text = page.read_text()
    assert set(re.findall(r"(?:`|^ +)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    assert set(re.findall(r"(?:`|^ +)memory-r1 ([a-z]+)", text, re.MULTILINE)) <= commands
