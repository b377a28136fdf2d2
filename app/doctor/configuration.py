"""Settings that contradict each other or name nothing, and room on the disk."""

from __future__ import annotations

import difflib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic_settings import DotEnvSettingsSource

from app.doctor.findings import Finding, fail, ok, warn
from app.settings import Settings

PREFIX = "MEMORY_R1_"
NOT_SETTINGS = {"MEMORY_R1_URL", "MEMORY_R1_KEY", "MEMORY_R1_SECRETS_DIR", "MEMORY_R1_PORT"}
"""Variables of the command line, of the settings' sources and of the compose file."""
GIB = 1 << 30
FEW_BYTES, TOO_FEW_BYTES = 2 * GIB, GIB // 10


def check_settings(settings: Settings, local: bool) -> list[Finding]:
    """What the settings say against each other; one finding that all is well where nothing is."""
    found = [*_unknown_variables(), *_contradictions(settings), *_of_local(settings, local)]
    return found or [ok("settings", "read, and nothing in them contradicts")]


def check_disk(folders: dict[str, Path]) -> list[Finding]:
    """Room where the service writes: its own folder, and where imports are kept while they are read."""
    return [_room(what, folder) for what, folder in folders.items()]


def temporary() -> Path:
    """Where imports are kept while they are read."""
    return Path(tempfile.gettempdir())


def _room(what: str, folder: Path) -> Finding:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        return fail("disk", f"{what} cannot be written: {existing}", "Let the service's user write there.")
    free = shutil.disk_usage(existing).free
    found = f"{free / GIB:.1f} GiB free for {what} ({folder})"
    if free < TOO_FEW_BYTES:
        return fail("disk", found, "Make room: Postgres stops on a full disk.")
    return warn("disk", found, "Make room before it is full.") if free < FEW_BYTES else ok("disk", found)


def _unknown_variables() -> Iterator[Finding]:
    known = {name.upper() for name in _names(Settings, PREFIX)}
    sections = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    given = {*os.environ, *DotEnvSettingsSource(Settings).env_vars}
    for name in sorted({name.upper() for name in given if name.upper().startswith(PREFIX)}):
        if name not in known | sections | NOT_SETTINGS:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Is {near[0]} meant?" if near else "`memory-r1 settings` lists those that there are."
            yield warn("settings", f"{name} is no setting and is passed over", hint)


def _names(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _names(field.annotation, f"{prefix}{name}__")


def _contradictions(settings: Settings) -> Iterator[Finding]:
    from app.main import requires_key

    server, embedding = settings.server, settings.embedding
    public = requires_key(settings.model_copy(update={"server": server.model_copy(update={"require_key": None})}))
    if public and server.require_key is False:
        yield warn(
            "settings",
            f"MEMORY_R1_SERVER__HOST is {server.host}, and no key is asked for: whoever reaches it reads everything",
            "Leave MEMORY_R1_SERVER__REQUIRE_KEY unset, and make keys with `memory-r1 keys create`.",
        )
    if public and settings.webhooks.allow_private_addresses:
        yield warn(
            "settings",
            "webhooks may call private addresses, while the service listens beyond loopback",
            "Set MEMORY_R1_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES=false, unless all who hold keys are trusted.",
        )
    if embedding.kind == "http" and (embedding.base_url is None or embedding.dimension is None):
        yield fail(
            "settings",
            "embedding over HTTP has no server or no dimension",
            "Set MEMORY_R1_EMBEDDING__BASE_URL and MEMORY_R1_EMBEDDING__DIMENSION.",
        )
    if embedding.kind != "http" and embedding.base_url is not None:
        yield warn(
            "settings",
            "MEMORY_R1_EMBEDDING__BASE_URL is set, but texts are embedded in the process",
            "Set MEMORY_R1_EMBEDDING__KIND=http to use that server, or unset its URL.",
        )


def _of_local(settings: Settings, local: bool) -> Iterator[Finding]:
    if local and "url" in settings.database.model_fields_set:
        yield warn(
            "settings",
            "MEMORY_R1_DATABASE__URL is set, and `--local` passes it over for the embedded Postgres",
            "Leave out `--local` to use that database.",
        )
    threads = settings.local.threads
    if local and threads is not None and threads > (os.cpu_count() or 1):
        yield warn(
            "settings",
            f"MEMORY_R1_LOCAL__THREADS is {threads} on {os.cpu_count()} cores",
            "Leave it unset: threads without a core of their own slow each other down.",
        )
