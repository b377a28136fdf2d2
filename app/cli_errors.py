"""How a command ends: exit codes, one line for what a user can mend, problems for programs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import typer
from pydantic import ValidationError
from rich.markup import escape

from app.cli_options import err, plain
from app.client import ServiceError
from app.core.errors import Forbidden, MemoryServiceError, NotFound, Unauthenticated
from app.local.postgres_errors import LocalPostgresError

TYPE_BASE = "https://memory-r1.dev/problems/"


class ExitCode(IntEnum):
    """What a shell is told; the reference of the command line documents it."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    INTERRUPTED = 130


_OF_STATUS = {401: ExitCode.NOT_ALLOWED, 403: ExitCode.NOT_ALLOWED, 404: ExitCode.NOT_FOUND}
_MIGRATE_AS_OWNER = "run `memory-r1 migrate` with MEMORY_R1_DATABASE__OWNER_URL, which makes it a member."


def explained(error: Exception) -> str | None:
    """One line on an error that a user can act on; None for a fault of ours."""
    if isinstance(error, ServiceError | MemoryServiceError | LocalPostgresError | OSError):
        return str(error)
    from psycopg.errors import InsufficientPrivilege
    from pydantic_settings import SettingsError
    from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

    match error:
        case ValidationError(title="Settings"):
            faults = (f"{_variable(fault['loc'])}: {fault['msg']}" for fault in error.errors(include_input=False))
            return "a setting is out of bounds: " + "; ".join(faults)
        case SettingsError():
            return f"a setting cannot be read: {error}."
        case OperationalError() if re.search(r'permission denied to set role|role "[^"]*" does not exist', str(error)):
            return f"the user of MEMORY_R1_DATABASE__URL may not work in MEMORY_R1_DATABASE__ROLE; {_MIGRATE_AS_OWNER}"
        case ProgrammingError(orig=InsufficientPrivilege()):
            return f"the user of MEMORY_R1_DATABASE__URL may not read the tables; {_MIGRATE_AS_OWNER}"
        case OperationalError() | ArgumentError():
            return "the database cannot be reached; check MEMORY_R1_DATABASE__URL."
        case ProgrammingError():
            return "the database is not at this version's schema; run `memory-r1 migrate`."
    return None


def exit_code_of(error: Exception) -> ExitCode:
    """What a shell is told of an error."""
    match error:
        case ServiceError(status=status):
            return _OF_STATUS.get(status or 0, ExitCode.FAILED)
        case NotFound():
            return ExitCode.NOT_FOUND
        case Unauthenticated() | Forbidden():
            return ExitCode.NOT_ALLOWED
    return ExitCode.FAILED


def report(error: Exception, line: str, *, as_json: bool) -> ExitCode:
    """Say what went wrong, on standard error."""
    if as_json:
        _print_problem(_problem_of(error, line))
    else:
        said = "\n".join(map(plain, line.split("\n")))
        err.print(f"[bold red]Error:[/] {escape(said)}", highlight=False, soft_wrap=True)
    return exit_code_of(error)


def report_usage(error: typer.TyperException) -> int:
    """The same of a command line that cannot be, for programs."""
    # Asking for no command at all shows the help, and has nothing to say.
    detail = plain(error.format_message()) or "Name a command."
    _print_problem({"type": f"{TYPE_BASE}usage", "title": "Usage", "detail": detail})
    return error.exit_code


def _problem_of(error: Exception, line: str) -> dict[str, Any]:
    if isinstance(error, ServiceError):
        return error.problem
    if isinstance(error, MemoryServiceError):
        from app.api.problems import STATUS_OF, slug_of

        status = STATUS_OF[type(error)]
        return {
            "type": TYPE_BASE + slug_of(type(error)),
            "title": status.phrase,
            "status": status.value,
            "detail": line,
        }
    return {"type": f"{TYPE_BASE}command-failed", "title": "Command failed", "detail": line}


def _print_problem(problem: dict[str, Any]) -> None:
    sys.stderr.write(json.dumps(problem) + "\n")


def _variable(place: Sequence[int | str]) -> str:
    return "MEMORY_R1_" + "__".join(str(step).upper() for step in place)
