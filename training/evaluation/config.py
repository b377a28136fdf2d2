"""What an evaluation asks of whom: the conversations, the systems, the judge. Typed, unknown keys refused."""

from __future__ import annotations

import tomllib
from collections import Counter
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from training.config import Section, Share
from training.data.locomo import Part
from training.episode import Rules
from training.simulator.pools import Split

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,60}$")]
"""It becomes part of a file's name."""

KNOWN_FACTS = "known"
"""In place of an extractor's policy: the right facts of a simulated conversation."""
ADD_ALL = "add-all"
"""In place of a manager's policy: each fact is added, and nothing else happens."""


class LocomoData(Section):
    """Conversations of a LoCoMo file, which is read where the user keeps it."""

    kind: Literal["locomo"] = "locomo"
    file: Path
    part: Part | None = None
    """Of Memory-R1's split by conversation."""
    conversations: tuple[str, ...] = ()
    """Chosen ids, such as "conv-30", in place of a part."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.part is None) == (not self.conversations):
            raise ValueError("either a part of the split, or the ids of conversations")
        return self


class SimulatorData(Section):
    """Conversations that are generated."""

    kind: Literal["simulator"] = "simulator"
    split: Split = Split.VALIDATION
    seed: int = 1
    count: PositiveInt = 4


class Limits(Section):
    """Only the beginning, to try something out; scores then say nothing about the set."""

    turns: PositiveInt | None = None
    """Of each conversation. Of its questions those stay whose evidence lies within."""
    questions: PositiveInt | None = None
    """Of each conversation, and as many of those whose right answer is to abstain."""


class Kind(StrEnum):
    """Where the candidates of a question come from."""

    NO_MEMORY = "no_memory"
    """Nowhere."""
    FULL_CONTEXT = "full_context"
    """All turns; where the prompt's budget is too small, the newest that fit."""
    BM25 = "bm25"
    """Turns ranked by BM25."""
    DENSE = "dense"
    """Turns ranked by their embeddings, in the service's way."""
    HYBRID = "hybrid"
    """Turns ranked as the service ranks memories: dense and lexical, fused."""
    ORACLE = "oracle"
    """The turns that the gold answer stands on."""
    ORACLE_BANK = "oracle_bank"
    """The bank that right decisions make; simulated conversations alone have one."""
    AGENTS = "agents"
    """The bank that the extractor and the manager make."""


class System(Section):
    """One row of the tables. Roles are given by names of policies."""

    kind: Kind
    answerer: Name
    extractor: Name | None = None
    """A policy's name, or `known`."""
    manager: Name | None = None
    """A policy's name, or `add-all`."""
    distil: bool = True
    """False: the model answers at once, from all candidates. The messages stay the same; the reply's schema has no
    list of chosen memories any more."""
    best_guess: bool = False
    """The reply may not abstain, as where a caller of the service asks for a best guess; the messages stay the same."""
    prompt_characters: int | None = Field(None, ge=1000, le=400_000)
    """In place of the budget in `rules.answerer`."""

    @property
    def name(self) -> str:
        roles = (self.extractor, self.manager, self.answerer) if self.kind is Kind.AGENTS else (self.answerer,)
        distilled = "" if self.distil else ".no-distillation"
        guess = ".best-guess" if self.best_guess else ""
        budget = f".{self.prompt_characters}-characters" if self.prompt_characters else ""
        return f"{self.kind.value}.{'+'.join(map(str, roles))}{distilled}{guess}{budget}"

    @model_validator(mode="after")
    def _roles_fit(self) -> Self:
        if {self.extractor is not None, self.manager is not None} != {self.kind is Kind.AGENTS}:
            raise ValueError("an extractor and a manager belong to agents, and to nothing else")
        return self


class Team(Section):
    """A policy for each role."""

    extractor: Name
    manager: Name
    answerer: Name


BASELINES = (Kind.NO_MEMORY, Kind.FULL_CONTEXT, Kind.BM25, Kind.DENSE, Kind.ORACLE)


def standard_systems(untrained: Team, trained: Team | None = None) -> tuple[System, ...]:
    """The baselines, the untrained agents, and the ablations of the paper where there is a trained team.

    Manager trained or not x answerer trained or not x distillation on or off, all under the trained team's extractor
    (Memory-R1, section 4.4); then the extractor untrained under agents that are all untrained, and all trained.
    """
    systems = [System(kind=kind, answerer=untrained.answerer) for kind in BASELINES]
    best = trained or untrained
    extractors = [(best.extractor, m, a) for m, a in product(_both(untrained, best, "manager"),
                                                             _both(untrained, best, "answerer"))]  # fmt: skip
    for team in (untrained, best):
        extractors.append((untrained.extractor, team.manager, team.answerer))
    for (extractor, manager, answerer), distil in product(dict.fromkeys(extractors), (True, False)):
        if distil or extractor == best.extractor:
            systems.append(
                System(kind=Kind.AGENTS, extractor=extractor, manager=manager, answerer=answerer, distil=distil)
            )
    return tuple(systems)


def _both(untrained: Team, trained: Team, role: str) -> list[str]:
    return list(dict.fromkeys((getattr(untrained, role), getattr(trained, role))))


class Judge(Section):
    """LLM-as-a-judge; the model is called through the completer that is given to the evaluation."""

    model: str
    """As the server calls it; stands beside the scores."""
    prompts: tuple[Literal["lenient", "strict"], ...] = ("lenient", "strict")
    runs: PositiveInt = 3


class EvalConfig(Section):
    """A whole evaluation."""

    data: Annotated[LocomoData | SimulatorData, Field(discriminator="kind")]
    policies: dict[Name, str]
    """What each named policy is: a model, with its adapter and revision. The same name is the same policy for good."""
    systems: tuple[System, ...] = Field(min_length=1)
    reference: str | None = None
    """The system that the others are compared with, by name; left out: the last."""
    judge: Judge | None = None
    rules: Rules = Rules()
    limits: Limits = Limits()
    adversarial: bool = True
    """Also ask LoCoMo's adversarial questions; their score is abstention, and stands apart."""
    operations: bool = True
    """On simulated conversations, also ask each manager for the operations on right banks."""
    right_at: Share = 0.5
    """An answer is right from this F1 (Mem0's) on, where questions are sorted by where they were lost."""
    resamples: PositiveInt = 2000
    seed: NonNegativeInt = 0
    """Of the bootstrap."""
    concurrency: PositiveInt = 16
    """Model calls at once."""
    progress: bool = True
    plots: bool = True

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = Counter(system.name for system in self.systems)
        if twice := [name for name, times in names.items() if times > 1]:
            raise ValueError(f"given twice: {', '.join(twice)}")
        if self.reference is not None and self.reference not in names:
            raise ValueError(f"the reference {self.reference} is none of {', '.join(names)}")
        if unknown := self.used_policies - set(self.policies):
            raise ValueError(f"what these policies are is not said: {', '.join(sorted(unknown))}")
        on_simulator = isinstance(self.data, SimulatorData)
        if not on_simulator and any(s.kind is Kind.ORACLE_BANK or s.extractor == KNOWN_FACTS for s in self.systems):
            raise ValueError("right facts and right banks are known of simulated conversations alone")
        return self

    @property
    def used_policies(self) -> set[str]:
        """The names of the policies that must be there."""
        roles = {role for s in self.systems for role in (s.extractor, s.manager, s.answerer) if role is not None}
        return roles - {KNOWN_FACTS, ADD_ALL}

    @property
    def managers(self) -> tuple[str, ...]:
        """The managers of the systems, each once."""
        return tuple(dict.fromkeys(s.manager for s in self.systems if s.manager is not None))

    def what_answers_depend_on(self) -> dict[str, Any]:
        """What must be the same for a folder to be gone on with."""
        kept: dict[str, Any] = self.model_dump(mode="json", include={"data", "rules", "limits"})
        return kept


def load(path: Path) -> EvalConfig:
    """The configuration in a TOML file. Raises pydantic's ValidationError, which names what is wrong."""
    return EvalConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
