"""The reference of the command line, written from the commands themselves."""

from __future__ import annotations

import typer
from typer.cli import get_docs_for_click

_NOTE = """This page is written by `make cli-doc`. What commands print for programs, exit codes and the rest:
[command line](../cli.md).
"""


def commands_reference(cli: typer.Typer) -> str:
    """The page as Markdown, by typer's own generator."""
    command = typer.main.get_command(cli)
    page = get_docs_for_click(obj=command, ctx=typer.Context(command), name="memory-r1", title="Commands")
    head, _, rest = page.strip().partition("\n\n")
    return f"{head}\n\n{_NOTE}\n{rest}\n"
