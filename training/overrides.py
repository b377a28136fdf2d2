"""The configuration of a run: a file, by its path or by its name in the package, with single values set anew."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from training.config import CONFIGS, TrainingConfig
from training.engine import UnfitConfiguration


def configured(name: str, overrides: Sequence[str] = ()) -> TrainingConfig:
    """The configuration, with values such as `grpo.rounds=50` set and `rollout.vllm=` taken out.

    Raises `UnfitConfiguration`, which names what is wrong.
    """
    path = file_of(name)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnfitConfiguration(f"{path} cannot be read as TOML: {error}") from error
    for override in overrides:
        _set(values, override)
    try:
        return TrainingConfig.model_validate(values)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, e['loc'])) or 'as a whole'}: {e['msg']}" for e in error.errors())
        raise UnfitConfiguration(f"{path.name}: {'; '.join(faults)}") from error


def file_of(name: str) -> Path:
    """A path that is there, or one of the package's configurations by its name."""
    known = {path.stem: path for path in sorted(CONFIGS.glob("*.toml"))}
    if Path(name).is_file():
        return Path(name)
    if name not in known:
        raise UnfitConfiguration(f"There is no configuration {name}: give a file, or one of {', '.join(known)}.")
    return known[name]


def _set(values: dict[str, Any], override: str) -> None:
    dotted, equals, text = override.partition("=")
    *sections, last = dotted.split(".")
    if not equals or not all((*sections, last)):
        raise UnfitConfiguration(f"{override!r} sets nothing; write it as grpo.rounds=50.")
    for name in sections:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise UnfitConfiguration(f"{dotted}: {name} is a value, not a section.")
    if text:
        values[last] = _value(text)
    else:
        values.pop(last, None)


def _value(text: str) -> Any:
    """As TOML reads it; what TOML cannot read is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text
