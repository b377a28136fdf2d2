"""Commands of a script, read by a parser of bash."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

_BASH = Language(tree_sitter_bash.language())
_ASSIGNED = re.compile(r"^\s*(?:export )?([A-Z_]+)=(\S+)", re.MULTILINE)


def is_bash(script: str) -> bool:
    """Whether it is a script at all."""
    return not Parser(_BASH).parse(script.encode()).root_node.has_error


def commands(script: str) -> list[list[str]]:
    """The words of each command, those inside of others too; variables that the script sets are put in."""
    values = dict(_ASSIGNED.findall(script))
    root = Parser(_BASH).parse(script.encode()).root_node
    return [[_put_in(word, values) for word in words] for words in _walk(root)]


def _walk(node: Node) -> Iterator[list[str]]:
    if node.type == "command":
        words = [_text(child) for child in node.children if child.type != "variable_assignment"]
        yield [word for word in words if word]
    for child in node.children:
        yield from _walk(child)


def _text(node: Node) -> str:
    raw = (node.text or b"").decode()
    return "".join(shlex.split(raw)) if raw[:1] in "'\"" or node.type == "concatenation" else raw


def _put_in(word: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{?([A-Z_]+)\}?", lambda found: values.get(found[1], found[0]), word)
