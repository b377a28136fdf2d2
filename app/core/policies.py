"""A policy as it is handed over: a folder of weights with a stamp, which says what it is and what it was made from.

The stamp is the file `policy.json`. Whoever serves a policy checks by it that the model is asked as it was trained.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from app.core import rendering
from app.core.errors import UnfitPolicy
from app.core.values import Role, Value

STAMP_FILE = "policy.json"
ADAPTER_FILE = "adapter_model.safetensors"
POLICY_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_HASH_CHARACTERS = 12

Form = Literal["adapter", "merged"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Base(Value):
    """The model that a policy was made from."""

    name: str
    sha256: Sha256 | None = None
    """Of what its weights came from, where that was a file."""


class PromptStamp(Value):
    """How a policy was asked while it learned."""

    version: str
    """As in traces: of the text and all options together."""
    text_sha256: Sha256
    """Of the prompt's constant text."""
    options: dict[str, Any]
    """Of the agent: what is shown, and the form and bounds of the reply."""

    @classmethod
    def of(cls, role: Role, options: BaseModel) -> PromptStamp:
        """The prompt of a role as this version of the code would send it."""
        return cls(
            version=rendering.prompt_version(role.value, options.model_dump_json()),
            text_sha256=hashlib.sha256(rendering.prompt_text(role.value).encode()).hexdigest(),
            options=options.model_dump(mode="json"),
        )


class Data(Value):
    """Something that a policy learned from."""

    source: str
    split: str
    seeds: tuple[int, ...] = ()
    """Of generated data."""
    licence: str
    note: str = ""


class Measured(Value):
    """A measure's value, with the bounds of its interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


class Score(Value):
    """One measure on data that training never saw."""

    measure: str
    data: str
    before: Measured | None = None
    """Of the base model, asked in the same way."""
    after: Measured


THEN = ", then "
"""Between the methods of a policy that learned in several runs."""


class PolicyStamp(Value):
    """What a policy is, and what it was made from."""

    name: str = Field(pattern=f"^{POLICY_NAME.pattern}$")
    role: Role
    form: Form
    base: Base
    weights_sha256: Sha256
    """Of the weights in the folder; see `weights_sha256`."""
    prompt: PromptStamp
    method: str
    """How it learned: `sft`, `sft, then grpo` ..."""
    steps: int = Field(ge=0)
    """Optimizer steps, or rounds where the method has rounds."""
    seeds: tuple[int, ...] = ()
    """Of training."""
    data: tuple[Data, ...] = ()
    config: dict[str, Any] = Field(default_factory=dict)
    """The whole configuration of the run."""
    git_revision: str | None = None
    scores: tuple[Score, ...] = ()
    limits: tuple[str, ...] = ()
    """What it cannot do, for its reader."""
    licence: str
    created: datetime

    @property
    def label(self) -> str:
        """What traces and the operation log call it: its name and its weights."""
        return f"{self.name}@{self.weights_sha256[:_HASH_CHARACTERS]}"


class Served(Value):
    """A policy that is called for a role in place of the configured model."""

    stamp: PolicyStamp
    model: str
    """Name by which the model server knows it."""
    folder: str | None = None
    """Where the model server finds the adapter, if it has to be told to load it."""

    @property
    def label(self) -> str:
        return self.stamp.label


def weights_sha256(folder: Path) -> str:
    """Of all `*.safetensors` of a folder, in order of name. Raises `UnfitPolicy` where there is none."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UnfitPolicy(f"There are no weights (*.safetensors) in {folder}.")
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def write_stamp(folder: Path, stamp: PolicyStamp) -> None:
    (folder / STAMP_FILE).write_text(stamp.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_stamp(file: Path) -> PolicyStamp:
    """Raises `UnfitPolicy` where the file is missing or is no stamp."""
    try:
        return PolicyStamp.model_validate_json(file.read_bytes())
    except OSError as error:
        raise UnfitPolicy(f"{file} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or "the whole"
        raise UnfitPolicy(f"{file} is no stamp of a policy: {place}: {fault['msg']}.") from error


def read_policy(folder: Path) -> PolicyStamp:
    """The stamp of a folder whose weights are the stamped ones. Raises `UnfitPolicy`."""
    stamp = read_stamp(folder / STAMP_FILE)
    if stamp.weights_sha256 != weights_sha256(folder):
        raise UnfitPolicy(f"The weights in {folder} are not those that {STAMP_FILE} was written for.")
    return stamp


def check(stamp: PolicyStamp, role: Role, options: BaseModel) -> list[str]:
    """What differs between how a policy was asked in training and how the service asks, where that can be borne.

    Raises `UnfitPolicy` for another role, another text of the prompt, or an option that switches a part of it on or
    off. A number - how much is shown, how long a reply may be - is told, and no more.
    """
    if stamp.role is not role:
        raise UnfitPolicy(f"The policy {stamp.label} is for the {stamp.role.value}, not for the {role.value}.")
    asked = PromptStamp.of(role, options)
    if asked.version == stamp.prompt.version:
        return []
    if asked.text_sha256 != stamp.prompt.text_sha256:
        raise _mismatch(stamp, asked, "the text of the prompt differs")
    # An option that is younger than the policy was as its default says.
    defaults = type(options)().model_dump(mode="json")
    trained = defaults | stamp.prompt.options
    differing = [name for name, value in asked.options.items() if trained[name] != value]
    for name in differing:
        if not _is_number(trained[name]) or not _is_number(asked.options[name]):
            raise _mismatch(stamp, asked, f"{name} was {trained[name]} and is {asked.options[name]}")
    return [f"{name} was {trained[name]} and is {asked.options[name]}" for name in differing]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mismatch(stamp: PolicyStamp, asked: PromptStamp, why: str) -> UnfitPolicy:
    return UnfitPolicy(
        f"The policy {stamp.label} was trained under the prompt {stamp.prompt.version}, but the service asks with "
        f"{asked.version}: {why}."
    )
