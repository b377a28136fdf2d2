"""The settings reference, written from the settings themselves."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from app.local.running import for_small_model
from app.settings import Settings

_HEAD = """# Settings

Every setting comes from the environment or from a `.env` file in the working folder; nested names are joined by two
underscores. An empty value counts as unset. Where `MEMORY_R1_SECRETS_DIR` names a folder (`/run/secrets` for Docker's
secrets), what neither of them sets is read from the files in it: each is named like a setting, in any case, and holds
its value. This page is written by `make settings-doc`.
"""


_SMALL = """## With the embedded model

`memory-r1 serve --local` without a model server takes smaller defaults for what is not set, since a small
model loses itself in long questions and replies:
"""


def settings_reference() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        assert isinstance(section, type) and issubclass(section, BaseModel)
        rows = list(_rows(section, f"MEMORY_R1_{name.upper()}"))
        table = "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])
        parts.append(f"## {name}\n\n{table}\n")
    return "\n".join([*parts, _SMALL, *_small_model_defaults()]) + "\n"


def _small_model_defaults() -> Iterator[str]:
    usual = Settings.model_construct()
    small = for_small_model(usual)
    for role in ("extractor", "manager", "answerer"):
        before, after = getattr(usual, role), getattr(small, role)
        for name in type(after).model_fields:
            if getattr(before, name) != getattr(after, name):
                yield f"- `MEMORY_R1_{role.upper()}__{name.upper()}`: `{getattr(after, name)}`"


def undocumented() -> list[str]:
    """Settings without a description; a test holds this empty."""
    return [row for row in settings_reference().splitlines() if row.startswith("| `MEMORY_R1") and row.endswith("|  |")]


def _rows(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        key = f"{prefix}__{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _rows(field.annotation, key)
        else:
            yield f"| `{key}` | {_default(field)} | {' '.join((field.description or '').split())} |"


def _default(field: FieldInfo) -> str:
    if field.default in (None, PydanticUndefined):
        return "unset"
    value = getattr(field.default, "get_secret_value", lambda: field.default)()
    return f"`{value}`"
