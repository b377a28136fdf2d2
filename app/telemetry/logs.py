"""Log lines by structlog, of ours and of every library's logger: as JSON or for people to read.

Without a setting that asks for it no line holds what somebody said: of an exception it tells type and place, since
messages of exceptions may quote values.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.stdlib import ExtraAdder, ProcessorFormatter
from structlog.tracebacks import Trace, extract
from structlog.typing import EventDict, Processor, WrappedLogger

from app.core.errors import MemoryServiceError
from app.settings import LogSettings

CHATTY = ("httpx", "httpx2", "openai", "alembic", "sentence_transformers", "transformers")
"""Heard from their warnings on; requests have a line of our own."""
HIDDEN = "..."
FIELDS = ("method", "route", "status", "seconds", "facts", "operations", "rejected", "speaker", "text")
"""What a line may hold beside its message, its time and what it is about; other libraries add things of their own."""


def configure(settings: LogSettings) -> None:
    """Every line goes to standard error, from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(settings))
    logging.basicConfig(level=settings.level, handlers=[handler], force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


def formatter(settings: LogSettings) -> logging.Formatter:
    """Makes a line of a record."""
    known: list[Processor] = [
        merge_contextvars,
        ExtraAdder(FIELDS),
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _Exceptions(settings.user_text),
    ]
    last: list[Processor] = [
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(default=str),
    ]
    if not settings.json_lines:
        last = [_plain]
    return ProcessorFormatter(
        foreign_pre_chain=known, processors=[ProcessorFormatter.remove_processors_meta, *last], use_get_message=True
    )


def about(**fields: Any) -> AbstractContextManager[None]:
    """Fields of every line that is written in the block."""
    return bound_contextvars(**fields)


class _Exceptions:
    """A record's exception as `trace`: what was called from where, by the lines of the code alone."""

    def __init__(self, with_messages: bool) -> None:
        self._with_messages = with_messages

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        info = event.pop("exc_info", None)
        if info is True or info is None:
            return event
        kind, error, frames = info
        if error is not None:
            event["trace"] = _traced(extract(kind, error, frames, show_locals=False), error, self._with_messages)
        return event


def _traced(trace: Trace, error: BaseException, with_messages: bool) -> str:
    lines = []
    for stack in reversed(trace.stacks):
        lines += [f'File "{frame.filename}", line {frame.lineno}, in {frame.name}' for frame in stack.frames]
        lines.append(f"{stack.exc_type}: {stack.exc_value if with_messages else HIDDEN}")
    if not with_messages and isinstance(error, MemoryServiceError):
        lines.append(type(error).__doc__ or "")
    return "\n".join(lines)


_FIELDS = structlog.processors.LogfmtRenderer()


def _plain(logger: WrappedLogger, name: str, event: EventDict) -> str:
    """`2026-11-23T09:30:00Z INFO app.worker: message key=value`, and a trace below."""
    at, level, source = event.pop("at"), event.pop("level"), event.pop("logger", "")
    message, trace = event.pop("event"), event.pop("trace", None)
    fields = f" {_FIELDS(logger, name, event)}" if event else ""
    return f"{at} {level.upper()} {source}: {message}{fields}" + (f"\n{trace}" if trace else "")
