"""Every block of code in the documentation is run, or checked for a reason that is written down."""

from __future__ import annotations

import configparser
import json

import pytest

from tests.docs.pages import LANGUAGES, NOT_RUN, RUN, Block, blocks
from tests.docs.programs import check
from tests.docs.shell import commands, is_bash

TEST_GUIDES = {"README.md", "docs/mcp.md", "docs/chat-proxy.md", "docs/connect.md"}
"""Pages whose programs are run, here or in tests/e2e/test_guides.py."""
OF = {language: [block for block in blocks() if block.language == language] for language in LANGUAGES}
README = [
    block
    for block in blocks()
    if block.page == "README.md"
    and block.text.split()[0] in ("make", "B=http://127.0.0.1:8080/v1/banks/alice", "export")
]
SHELL = [*OF["bash"], *(block for block in README if block.language == "indented")]


def test_every_block_says_its_language() -> None:
    """What is in `text` is no command: a page could hide one there."""
    assert [str(block) for block in blocks() if block.language not in LANGUAGES and block.page != "README.md"] == []
    starts = {block.text.split()[0] for block in OF["text"]}
    assert starts.isdisjoint({"make", "memory-r1", "memory-r1-train", "curl", "docker", "pip", "python", "$"})


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_can_be(block: Block) -> None:
    assert is_bash(block.text)
    for words in commands(block.text):
        check(words)


def test_every_block_of_commands_is_run_or_has_a_reason() -> None:
    unexplained = [str(block) for block in SHELL if block.page not in RUN and not block.reasons()]
    assert unexplained == [], "run it in tests/docs/test_run.py, or give a reason in tests/docs/pages.py"
    used = {reason for block in SHELL for reason in block.reasons()}
    assert set(NOT_RUN) - used == set(), "reasons for what is not written any more"


@pytest.mark.parametrize("block", OF["python"], ids=str)
def test_programs_in_python(block: Block) -> None:
    assert block.page in TEST_GUIDES
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", [*OF["json"], *OF["ini"]], ids=str)
def test_documents_can_be_read(block: Block) -> None:
    if block.language == "json":
        json.loads(block.text)
    else:
        configparser.ConfigParser().read_string(block.text)


def test_a_wrong_command_is_seen() -> None:
    wrong = [
        "memory-r1 ingset x",
        "memory-r1 ask hello --bnak a",
        "memory-r1 ask hello",
        "make demos",
        "docker compose up -d workers",
        "docker compose exec -T api memory-r1 keys made",
        "curl -X PUT http://127.0.0.1:8080/v1/health/live",
        'curl http://127.0.0.1:8080/v1/banks/a/answer -d \'{"questoin": "?"}\'',
        "python -m tests.bench.no_such",
        "pip install 'memory-r1[nothing]'",
        "no-such-program",
    ]
    for line in wrong:
        [words] = commands(line)
        with pytest.raises(Exception):  # noqa: B017 - each parser has its own
            check(words)
