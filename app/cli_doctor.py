"""`memory-r1 doctor`: everything that the service stands on, and what to do about what is wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli_errors import explained
from app.cli_options import AsJson, err, markup, out, print_json
from app.cli_running import run

if TYPE_CHECKING:
    from app.doctor.findings import Finding
    from app.settings import Settings

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}
Local = Annotated[bool, typer.Option("--local", help="Check the embedded default, whether it is being served or not.")]


def doctor(local: Local = False, as_json: AsJson = False) -> None:
    """Check what the service stands on, and say what to do: settings, database, migrations, role, clock, model server,
    guided decoding, embedder, disk. Exit code 1 where anything fails.
    """
    findings: list[Finding] = []

    async def work() -> bool:
        status = err.status("checking") if err.is_terminal and not as_json else None
        try:
            if status:
                status.start()
            async for finding in _findings(local):
                findings.append(finding)
                if not as_json:
                    _show(finding)
        finally:
            if status:
                status.stop()
        return True

    # What libraries warn of while they are tried out is in the findings.
    logging.disable(logging.ERROR)
    try:
        ended = run(work())
    finally:
        logging.disable(logging.NOTSET)
    if ended is None:
        raise typer.Exit(130)
    is_well = all(finding.level.value != "fail" for finding in findings)
    if as_json:
        print_json({"ok": is_well, "checks": [finding.model_dump(mode="json") for finding in findings]})
    if not is_well:
        raise typer.Exit(1)


async def _findings(local: bool) -> AsyncIterator[Finding]:
    from app.doctor.configuration import check_disk, check_settings, temporary
    from app.doctor.findings import Level, fail
    from app.local.running import data_dir
    from app.settings import Settings

    try:
        settings = Settings()
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        yield fail("settings", line, "Correct it in the environment, in .env or in its file.")
        return
    for finding in check_settings(settings, local):
        yield finding
    folders = {"imports under way": temporary()}
    if local:
        folders = {"the embedded default": data_dir(settings.local), **folders}
    for finding in check_disk(folders):
        yield finding
    async with AsyncExitStack() as stack:
        if local:
            settings, found = await _with_local_database(settings, stack)
            yield found
            is_there = found.level is Level.OK
        else:
            is_there = True
        async for finding in _of_parts(settings, local, is_there):
            yield finding


async def _of_parts(settings: Settings, local: bool, has_database: bool) -> AsyncIterator[Finding]:
    from app.doctor.database import check_database
    from app.doctor.findings import Level
    from app.doctor.models import check_embedding, check_models, check_policies

    levels: dict[str, Level] = {}
    if has_database:
        async for finding in check_database(settings.database, local=local):
            levels[finding.check] = finding.level
            yield finding
    has_tables = levels.get("role") is Level.OK
    if has_tables and not (local and settings.llm.base_url is None):
        yield await check_policies(settings)
    if local and settings.llm.base_url is None:
        async for finding in _of_small_model(settings):
            yield finding
    else:
        async for finding in check_models(settings.llm):
            yield finding
    yield await check_embedding(settings, with_database=has_tables)


async def _with_local_database(settings: Settings, stack: AsyncExitStack) -> tuple[Settings, Finding]:
    """The settings pointed at the embedded Postgres, which is started unless a service has it."""
    from pydantic import SecretStr

    from app.doctor.embedded import has_cluster, running_url
    from app.doctor.findings import fail, ok, skip
    from app.local.postgres import DataFolderInUse, LocalPostgresError
    from app.local.running import data_dir, local_postgres

    folder = data_dir(settings.local)
    if not has_cluster(folder):
        return settings, skip("embedded Postgres", f"nothing in {folder} yet; `serve --local` makes it")
    try:
        pointed = await stack.enter_async_context(local_postgres(settings, lambda step: None))
    except DataFolderInUse:
        url = await asyncio.to_thread(running_url, folder)
        if url is None:
            return settings, skip("embedded Postgres", f"a service is starting or ending in {folder}; try again")
        database = settings.database.model_copy(update={"url": SecretStr(url)})
        return settings.model_copy(update={"database": database}), ok("embedded Postgres", f"served from {folder}")
    except LocalPostgresError as error:
        return settings, fail("embedded Postgres", str(error).splitlines()[0], f"Read {folder / 'postgres.log'}.")
    return pointed, ok("embedded Postgres", f"starts in {folder}")


async def _of_small_model(settings: Settings) -> AsyncIterator[Finding]:
    """The model of the embedded default, loaded as `serve --local` would."""
    from app.core.errors import MemoryServiceError
    from app.core.values import Role
    from app.doctor.findings import fail, ok
    from app.doctor.models import check_guided
    from app.local.model import hide_progress_bars
    from app.local.running import for_small_model, local_completers

    name = settings.local.model.removeprefix("packaged:")
    try:
        hide_progress_bars()
        async with local_completers(for_small_model(settings), lambda step: None) as completers:
            yield ok("model", f"{name} is loaded, in this process")
            yield await check_guided(completers[Role.EXTRACTOR], name)
    except (MemoryServiceError, OSError, ImportError, ValueError) as error:
        to_do = "Run `pip install 'memory-r1[local]'`, and check MEMORY_R1_LOCAL__MODEL and ...__POLICIES."
        yield fail("model", f"{name} cannot be loaded: {str(error).splitlines()[0]}", to_do)


def _show(finding: Finding) -> None:
    colour = _COLOURS[finding.level.value]
    out.print(
        f"[{colour}]{finding.level.value:<5}[/]{markup(finding.check)}: {markup(finding.found)}",
        highlight=False,
        soft_wrap=not out.is_terminal,
    )
    if finding.to_do:
        out.print(f"     → {markup(finding.to_do)}", highlight=False, soft_wrap=not out.is_terminal)
