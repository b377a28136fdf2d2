"""The embedded default: Postgres as a child process, the small model in this one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, SecretStr

from app.core.ports import Completer
from app.core.values import Role
from app.local.engine import LocalCompleter
from app.local.model import ensure_packaged_model
from app.local.postgres import LocalPostgres, default_data_dir
from app.settings import LocalSettings, Settings

PACKAGED_MODEL = "packaged:SmolLM2-135M-Instruct"
Options = TypeVar("Options", bound=BaseModel)
Progress = Callable[[str], None]


def data_dir(settings: LocalSettings) -> Path:
    """Where the embedded default keeps everything."""
    return settings.data_dir or default_data_dir()


def for_small_model(settings: Settings) -> Settings:
    """Shorter questions and replies, where they are not set: a small model loses itself in long ones."""
    return settings.model_copy(
        update={
            "extractor": _with_defaults(settings.extractor, context_turns=1, max_facts=3, max_fact_characters=120),
            "manager": _with_defaults(settings.manager, related=4, max_shown=6, max_text_characters=200),
            "answerer": _with_defaults(
                settings.answerer, max_distilled=3, max_answer_characters=60, max_prompt_characters=6_000
            ),
        }
    )


def _with_defaults(options: Options, **defaults: int) -> Options:
    unset = {name: value for name, value in defaults.items() if name not in options.model_fields_set}
    return options.model_copy(update=unset)


@asynccontextmanager
async def local_postgres(settings: Settings, progress: Progress) -> AsyncIterator[Settings]:
    """Postgres for as long as the block runs, and the settings that point at it. Raises `LocalPostgresError`."""
    postgres = LocalPostgres(data_dir(settings.local), progress=progress)
    starting = asyncio.ensure_future(asyncio.to_thread(postgres.start))
    try:
        url = await asyncio.shield(starting)
        database = settings.database.model_copy(update={"url": SecretStr(url)})
        yield settings.model_copy(update={"database": database})
    finally:
        # A thread cannot be cancelled: a start that was broken off is stopped once it has come to its end.
        await asyncio.wait([starting])
        await asyncio.to_thread(postgres.stop)


@asynccontextmanager
async def local_completers(settings: LocalSettings, progress: Progress) -> AsyncIterator[dict[Role, Completer]]:
    """The small model for all roles, for as long as the block runs. Raises `PackagedModelMissing`."""
    packaged = settings.model == PACKAGED_MODEL
    folder = data_dir(settings) / "models"
    progress("loading the language model")
    model = await asyncio.to_thread(ensure_packaged_model, folder, progress) if packaged else settings.model
    completer = LocalCompleter(
        model,
        name=settings.model.removeprefix("packaged:"),
        max_batch=settings.max_batch,
        threads=settings.threads,
        max_tokens=settings.max_tokens,
        max_context=settings.max_context,
    )
    try:
        # Loading cannot be cancelled either: the thread is joined when it has loaded.
        await asyncio.shield(completer.start())
        yield dict.fromkeys(Role, completer)
    finally:
        await completer.aclose()


@asynccontextmanager
async def attached_postgres(settings: Settings, local: bool) -> AsyncIterator[Settings]:
    """The settings as they are, or with the embedded Postgres where `local` asks for it."""
    if not local:
        yield settings
        return
    async with local_postgres(settings, lambda step: None) as pointed:
        yield pointed
