"""The embedded default: Postgres as a child process, the small model in this one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from app.core.agents import small_model
from app.core.errors import UnfitPolicy
from app.core.policies import Served, check, read_policy
from app.core.ports import PolicyServer
from app.core.values import Role
from app.local.engine import LocalCompleter
from app.local.model import ensure_packaged_model
from app.local.postgres import LocalPostgres, default_data_dir
from app.settings import LocalSettings, Settings

log = logging.getLogger(__name__)

PACKAGED_MODEL = "packaged:SmolLM2-135M-Instruct"
PACKAGED_POLICIES = Path(__file__).parent / "policies"
Progress = Callable[[str], None]


def data_dir(settings: LocalSettings) -> Path:
    """Where the embedded default keeps everything."""
    return settings.data_dir or default_data_dir()


def for_small_model(settings: Settings) -> Settings:
    """Shorter questions and replies, where they are not set: a small model loses itself in long ones."""
    return settings.model_copy(
        update={
            "extractor": small_model.where_unset(settings.extractor, small_model.EXTRACTOR),
            "manager": small_model.where_unset(settings.manager, small_model.MANAGER),
            "answerer": small_model.where_unset(settings.answerer, small_model.ANSWERER),
        }
    )


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


def local_policies(settings: Settings) -> dict[Role, Served]:
    """The adapters that the settings name. Raises `UnfitPolicy` for one that is asked otherwise than it was trained."""
    chosen = settings.local.policies
    if chosen == "none" or (chosen == "packaged" and settings.local.model != PACKAGED_MODEL):
        return {}
    root = PACKAGED_POLICIES if chosen == "packaged" else Path(chosen)
    if chosen != "packaged" and not root.is_dir():
        raise UnfitPolicy(f"MEMORY_R1_LOCAL__POLICIES is {chosen!r}: neither packaged nor none nor a folder.")
    folders = {role: root / role.value for role in Role if (root / role.value).is_dir()}
    return {role: _policy(folder, role, settings) for role, folder in folders.items()}


def _policy(folder: Path, role: Role, settings: Settings) -> Served:
    stamp = read_policy(folder)
    try:
        differing = check(stamp, role, getattr(settings, role.value))
    except UnfitPolicy as error:
        raise UnfitPolicy(f"{error} To go on without trained adapters, set MEMORY_R1_LOCAL__POLICIES=none.") from error
    if differing:
        log.warning("the policy %s is not asked quite as it was trained: %s", stamp.label, "; ".join(differing))
    return Served(stamp=stamp, model=stamp.label, folder=str(folder))


@asynccontextmanager
async def local_completers(settings: Settings, progress: Progress) -> AsyncIterator[dict[Role, PolicyServer]]:
    """The small model with its adapters for all roles, for as long as the block runs.

    Raises `PackagedModelMissing`, `UnfitPolicy`.
    """
    local = settings.local
    packaged = local.model == PACKAGED_MODEL
    folder = data_dir(local) / "models"
    progress("loading the language model")
    policies = await asyncio.to_thread(local_policies, settings)
    model = await asyncio.to_thread(ensure_packaged_model, folder, progress) if packaged else local.model
    completer = LocalCompleter(
        model,
        name=local.model.removeprefix("packaged:"),
        max_batch=local.max_batch,
        threads=local.threads,
        max_tokens=local.max_tokens,
        max_context=local.max_context,
        policies=policies,
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
