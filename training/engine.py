"""What the project asks of a training engine. Tasks and callers know this module; an engine's own names stay behind it.

A task gives prompts, and scores replies. An engine samples replies, calls the reward, and changes the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from app.core.values import Message
from training.config import TrainingConfig


class TrainingError(Exception):
    """Base of the errors of training."""


class UnfitConfiguration(TrainingError, ValueError):
    """The configuration cannot be run: with itself, this task, or this machine."""


class NotResumable(TrainingError):
    """The folder holds another run, or none that could go on."""


class NothingScored(TrainingError):
    """No reply of a round could be scored, so that the round teaches nothing."""


@dataclass(frozen=True)
class Row:
    """One prompt, with what its reward or its target is made from."""

    id: str
    prompt: tuple[Message, ...] | str
    """Messages with the constant ones first, or a prompt that was rendered to text already."""
    target: str | None = None
    """The right reply, for supervised training."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Whatever the task needs to score a reply; the engine hands it back as it is."""
    reply_schema: Mapping[str, Any] | None = None
    """The JSON schema that the service holds a reply to; see `Rollout.constrained`."""


@dataclass(frozen=True)
class Reward:
    """What a reply is worth, and what that is made of."""

    total: float
    terms: Mapping[str, float] = field(default_factory=dict)
    """Logged one by one; they do not change the total."""


class Task(Protocol):
    """A role to learn: its prompts, and the reward of a reply."""

    @property
    def rows(self) -> Sequence[Row]: ...

    async def reward(self, completion: str, row: Row) -> Reward | None:
        """None where the reply cannot be scored: it then counts in no mean, and moves nothing."""
        ...


class Position(Protocol):
    """Where a trajectory stands. It never changes: a decision leads to another position, and each is a snapshot."""

    @property
    def row(self) -> Row | None:
        """What is to be decided next; None at the end."""
        ...

    @property
    def scored_alone(self) -> bool:
        """Whether what is decided here has a reward of its own."""
        ...


P = TypeVar("P", bound=Position)


@runtime_checkable
class TrajectoryTask(Protocol[P]):
    """A role to learn whose decisions change what is decided on later."""

    @property
    def starts(self) -> Sequence[str]:
        """The names of what a trajectory can be about."""
        ...

    async def start(self, place: int, decisions: int, draw: int) -> P:
        """The first position of a trajectory of at most so many decisions.

        `draw` settles what is left to chance, such as the questions at the end: equal draws, equal choices.
        """
        ...

    async def decide(self, position: P, completion: str) -> P:
        """What the reply to the position's row leads to."""
        ...

    async def reward_at_end(self, position: P) -> Reward | None:
        """What a whole trajectory is worth; None where that cannot be told."""
        ...

    async def local_reward(self, before: P, after: P) -> Reward | None:
        """What the decisions between two positions are worth by themselves; None where that cannot be told."""
        ...


@dataclass(frozen=True)
class Trained:
    """What a run left behind."""

    model: Path
    """The folder of the adapter, or of the whole model, with its tokenizer."""
    metrics: Path
    """One JSON line a round; see `training.metrics_log`."""
    rounds: int
    """Rounds done so far, those before a resume included."""
    finished: bool
    """False where the run was stopped; it can be resumed."""


Stop = Callable[[], bool]
"""Asked after each round; True ends the run there, with a checkpoint."""


def never() -> bool:
    """A run that nobody stops."""
    return False


class Trainer(Protocol):
    """One engine. A run writes into `out_dir`; with `resume` it goes on from the last whole checkpoint there."""

    def sft(
        self, config: TrainingConfig, task: Task, out_dir: Path, *, resume: bool = False, stop: Stop = never
    ) -> Trained:
        """Learn the rows' targets; the loss is on the target alone."""
        ...

    def grpo(
        self, config: TrainingConfig, task: Task, out_dir: Path, *, resume: bool = False, stop: Stop = never
    ) -> Trained:
        """Learn from rewards; the baseline is the mean of the replies to the same prompt."""
        ...

    def ppo(
        self, config: TrainingConfig, task: Task, out_dir: Path, *, resume: bool = False, stop: Stop = never
    ) -> Trained:
        """Learn from rewards; the baseline is a critic that learns with the policy."""
        ...

    def logo(
        self,
        config: TrainingConfig,
        task: TrajectoryTask[Any],
        out_dir: Path,
        *,
        resume: bool = False,
        stop: Stop = never,
    ) -> Trained:
        """Learn from the rewards of whole trajectories, and of decisions made again from the same position."""
        ...
