"""Reading JSON and JSON lines from where the user keeps a data set; none is ever copied here.

DataError
├── UnreadableData    missing, not JSON, or of another shape
└── OtherFile         not the very file that upstream published
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

Form = TypeVar("Form", bound=BaseModel)


class DataError(ValueError):
    """The data cannot be used."""


class UnreadableData(DataError):
    """The file is missing, not JSON, or of another shape."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class OtherFile(DataError):
    """The file holds everything, but is not the one that upstream published: somebody edited it."""

    def __init__(self, path: Path, sha256: str) -> None:
        self.path, self.sha256 = path, sha256
        super().__init__(f"{path} is not the published file: its SHA-256 is {sha256}")


def sha256_of(path: Path) -> str:
    """The file's digest, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_list(path: Path | str, form: type[Form]) -> list[Form]:
    """A JSON array of such objects, or one object a line; raises `UnreadableData`."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
        is_array = text.lstrip()[:1] == "["
        rows = json.loads(text) if is_array else [json.loads(line) for line in text.splitlines() if line.strip()]
        return TypeAdapter(list[form]).validate_python(rows)  # type: ignore[valid-type]
    except OSError as error:
        raise UnreadableData(file, error.strerror or "it cannot be read") from error
    except RecursionError as error:
        raise UnreadableData(file, "it is nested too deeply") from error
    except ValueError as error:
        raise UnreadableData(file, _reason(error)) from error


def _reason(error: ValueError) -> str:
    """What is wrong, without the file's own text where pydantic would quote it."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the top level'}: {first['msg']}"
