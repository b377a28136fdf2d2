"""What a run was: all that a model card needs, in one JSON file of the run's folder."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.core import policies
from app.core.policies import Base, PolicyStamp, PromptStamp
from app.core.values import Role, Value
from training.engine import NotResumable, Row, TrainingError

FILE = "run.json"
_PACKAGES = ("torch", "trl", "peft", "transformers", "vllm", "verl")
_HERE = Path(__file__).parent


class DataRecord(Value):
    """What the rows of a run were made from."""

    source: str
    """`simulator`, `locomo`, `traces` or the name of a file of simulated conversations."""
    split: str
    seed: int | None
    """Of generated data."""
    conversations: tuple[str, ...]
    rows: int
    left_out: dict[str, int]
    """Rows by the reason why they are not among these."""
    sha256: str
    """Of the rows; see `rows_sha256`."""
    licence: str
    note: str = ""


class GitRecord(Value):
    """The code that a run was made with."""

    revision: str | None
    dirty: bool
    """Whether files differed from the revision, or that could not be told."""


class RunRecord(Value):
    """One run of training. Times are UTC."""

    role: Role
    method: str
    config: dict[str, Any]
    reward: dict[str, float] | None
    """The weight of each term; None for supervised training."""
    data: DataRecord
    base: Base
    revision: str | None
    """Of a base from the hub."""
    prompt: PromptStamp
    """Of the role that learned."""
    rules: dict[str, Any]
    """The options of all agents."""
    embedder: str
    others: dict[str, str]
    """The policies of the roles that did not learn, where they were asked."""
    start: str | None
    """The folder that the run went on from."""
    before: RunRecord | None
    """The run that made it, where that is known."""
    policy: PolicyStamp | None = None
    """The exported policy that it is, which has no run any more."""
    git: GitRecord
    versions: dict[str, str]
    seed: int
    """Of training."""
    rounds: int = 0
    finished: bool = False
    started: datetime
    ended: datetime | None = None
    resumed: int = 0

    @property
    def methods(self) -> tuple[str, ...]:
        """How the policy came to be, first step first."""
        earlier = self.policy.method.split(policies.THEN) if self.policy else ()
        return (*earlier, *(self.before.methods if self.before else ()), self.method)

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """This and those before it, first one first."""
        return (*(self.before.runs if self.before else ()), self)


def write(folder: Path, record: RunRecord) -> None:
    """Put the record into a run's folder, whole or not at all."""
    making = folder / f"{FILE}.making"
    making.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(making, folder / FILE)


def read(folder: Path) -> RunRecord:
    """The record of a run's folder. Raises `TrainingError` where there is none."""
    try:
        return RunRecord.model_validate_json((folder / FILE).read_bytes())
    except OSError as error:
        raise TrainingError(f"{folder} is no folder of a run: it has no {FILE}.") from error
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise TrainingError(f"{folder / FILE}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error


def of_model(folder: Path) -> RunRecord | None:
    """The record of the run that wrote this model, where the folder still lies in the run's."""
    return read(folder.parent) if (folder.parent / FILE).is_file() else None


def of_policy(folder: Path) -> PolicyStamp | None:
    """The stamp, where the model is an exported policy. Raises `UnfitPolicy` where the weights are not its own."""
    return policies.read_policy(folder) if (folder / policies.STAMP_FILE).is_file() else None


def begun(folder: Path, record: RunRecord) -> RunRecord:
    """Write the record of a run that begins, or goes on where the folder has one; what was written.

    Raises `NotResumable` where the rows are not those that the run began with.
    """
    if (folder / FILE).is_file():
        earlier = read(folder)
        if earlier.data.sha256 != record.data.sha256:
            raise NotResumable(f"The run in {folder} began with other rows; resume it with the same data.")
        record = record.model_copy(update={"started": earlier.started, "resumed": earlier.resumed + 1})
    write(folder, record)
    return record


def ended(folder: Path, record: RunRecord, rounds: int, finished: bool) -> RunRecord:
    """Write what came of the run; what was written."""
    record = record.model_copy(update={"rounds": rounds, "finished": finished, "ended": now()})
    write(folder, record)
    return record


def now() -> datetime:
    return datetime.now(UTC)


def rows_sha256(rows: Iterable[Row]) -> str:
    """Of the rows' names, prompts and targets in their order."""
    digest = hashlib.sha256()
    for row in rows:
        prompt = row.prompt if isinstance(row.prompt, str) else [[one.role, one.content] for one in row.prompt]
        digest.update(json.dumps([row.id, prompt, row.target], ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Of the packages that training is made of; one that is not installed is left out."""
    found: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git(folder: Path = _HERE) -> GitRecord:
    """The revision of the code's own repository; none where the code does not lie in one."""
    revision, status = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain")
    return GitRecord(revision=revision.strip() if revision else None, dirty=status is None or bool(status.strip()))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
