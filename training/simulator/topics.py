"""What a speaker may talk about: each topic is one memory of the bank, and knows what may be said about it next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from random import Random
from uuid import UUID

from app.core.operations import OperationKind
from training.simulator import wording
from training.simulator.pools import FRAMES, POOLS, Split
from training.simulator.wording import Line


class Supply:
    """The names and things of one conversation, each used once."""

    def __init__(self, random: Random, split: Split) -> None:
        pools = {**POOLS[split], "doing": FRAMES[split]}
        self._left = {name: random.sample(pool, len(pool)) for name, pool in pools.items()}

    def has(self, pool: str, count: int = 1) -> bool:
        return len(self._left[pool]) >= count

    def take(self, pool: str) -> str:
        return self._left[pool].pop()


@dataclass
class Scene:
    """The turn in which something is said."""

    random: Random
    split: Split
    supply: Supply
    today: date
    turn: UUID
    new_memory: Callable[[], UUID]

    def line(self, key: str, *, dated: bool | None = None) -> Line:
        """One of the ways to say a thing; with a date, without one, or either."""
        ways = wording.lines(self.split, key)
        fitting = [line for line in ways if dated is None or line.is_dated is dated]
        return self.random.choice(fitting or ways)


@dataclass(frozen=True)
class Said:
    """A thing said, the fact in it, and the operation that is right for it."""

    say: str
    what: str
    kind: OperationKind
    memory: UUID
    text: str | None = None
    then: str | None = None
    """What the other speaker asks next, as a key of the wording; the topic then answers it."""
    slots: dict[str, str] = field(default_factory=dict)
    noun: str = ""
    """What the one who says it would call it, where others may come back to it: "my painting"."""
    mood: str = ""
    """"glad", "fond" (nothing of it is over), "living" (a being came), "sad", or empty."""


@dataclass(frozen=True)
class Asked:
    """A question that can be answered now."""

    kind: str
    text: str
    answer: str
    evidence: tuple[UUID, ...]


class Topic(ABC):
    """One memory, over time; `memory` is None before it is added and after it is deleted."""

    def __init__(self, family: str, owner: str) -> None:
        self.family, self.owner = family, owner
        self.memory: UUID | None = None

    @abstractmethod
    def moves(self, scene: Scene) -> dict[str, float]:
        """What may be said next, with its weight."""

    @abstractmethod
    def make(self, move: str, scene: Scene) -> Said:
        """Say it, and change the world by it."""

    @abstractmethod
    def asked(self, scene: Scene) -> list[Asked]:
        """What can be asked about it now."""

    @abstractmethod
    def text(self) -> str:
        """What the memory says now."""

    @property
    def is_over(self) -> bool:
        """Nothing will be said about it any more."""
        return False

    def _said(self, line: Line, slots: dict[str, str], scene: Scene, then: str | None = None) -> Said:
        """An ADD for a new memory; else an UPDATE to what the memory says now."""
        is_new = self.memory is None
        memory = self.memory = self.memory or scene.new_memory()
        return Said(
            say=wording.fill(line.say, slots),
            what=wording.fill(line.what, slots),
            kind=OperationKind.ADD if is_new else OperationKind.UPDATE,
            memory=memory,
            text=None if is_new else self.text(),
            then=then,
            slots=slots,
        )

    def _repeated(self, line: Line, slots: dict[str, str]) -> Said:
        memory = self._known()
        said, what = wording.fill(line.say, slots), wording.fill(line.what, slots)
        return Said(said, what, OperationKind.NOOP, memory, slots=slots)

    def _withdrawn(self, line: Line, slots: dict[str, str]) -> Said:
        memory, self.memory = self._known(), None
        said, what = wording.fill(line.say, slots), wording.fill(line.what, slots)
        return Said(said, what, OperationKind.DELETE, memory, slots=slots)

    def _known(self) -> UUID:
        if self.memory is None:
            raise ValueError(f"{self.owner}'s {self.family} is not in the bank")
        return self.memory

    def _ask(
        self, scene: Scene, kind: str, answer: str, evidence: list[UUID] | tuple[UUID, ...], /, **slots: str
    ) -> Asked:
        form = scene.line(f"{self.family}?{kind}").say
        text = wording.fill(form, {"who": self.owner} | slots)
        return Asked(kind, text[:1].upper() + text[1:], answer, tuple(dict.fromkeys(evidence)))


def sentence(*clauses: str) -> str:
    return f"{'; '.join(clause for clause in clauses if clause)}."


def without_stop(what: str) -> str:
    return what.removesuffix(".")
