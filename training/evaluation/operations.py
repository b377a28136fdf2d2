"""How often a manager's operations are the right ones, where these are known: on the right banks of the simulator."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from app.core import scoring
from app.core.operations import Operation, OperationKind
from app.core.ports import Completer, Embedder
from app.core.values import Value
from training.episode import ManagerEpisode, Rules, decided, simulated_episodes
from training.evaluation.journal import NoReply
from training.evaluation.systems import at_once
from training.simulator.values import SimulatedConversation

UNREADABLE, FAILED = "unreadable", "failed"
"""In place of a decision: the reply could not be read, or the model failed."""


class KindScore(Value):
    """One kind of operation; an operation is right where its kind and its memory are."""

    asked: int
    """Operations of this kind that the manager asked for."""
    right: int
    """Facts for which this kind is right."""
    hits: int

    @property
    def precision(self) -> float | None:
        return self.hits / self.asked if self.asked else None

    @property
    def recall(self) -> float | None:
        return self.hits / self.right if self.right else None


class OperationScores(Value):
    """A manager over many turns, each on the right bank."""

    kinds: dict[str, KindScore]
    confusion: dict[str, dict[str, int]]
    """Facts by the right kind, then by the kind that was asked for: the right one if it is among several, else the
    first."""
    accuracy: float | None
    """The share of the facts for which an operation of the right kind on the right memory was asked."""
    update_f1: float | None
    """Mem0's F1 of the merged texts of right UPDATEs."""
    refused: int
    """Operations that the checks of the service did not apply."""
    turns: int
    facts: int

    @property
    def accuracy_interval(self) -> scoring.Interval:
        """At 95%, as if facts were told independently of each other."""
        return scoring.wilson_interval(sum(kind.hits for kind in self.kinds.values()), self.facts)


@dataclass
class Tally:
    """Counts decisions against what is right."""

    asked: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    cells: Counter[tuple[str, str]] = field(default_factory=Counter)
    update_f1: list[float] = field(default_factory=list)
    refused: int = 0
    turns: int = 0

    def add(self, right: Sequence[Operation], operations: Sequence[Operation] | None, instead: str) -> None:
        """Count a turn; `operations` is None where there is no decision, and `instead` then says why."""
        self.turns += 1
        self.asked.update(operation.kind.value for operation in operations or ())
        for one in right:
            own = [operation for operation in operations or () if operation.fact == one.fact]
            hit = next((o for o in own if (o.kind, o.memory) == (one.kind, one.memory)), None)
            kind = hit.kind.value if hit else own[0].kind.value if own else instead
            self.right[one.kind.value] += 1
            self.hits[one.kind.value] += hit is not None
            self.cells[one.kind.value, kind] += 1
            if hit and one.kind is OperationKind.UPDATE:
                self.update_f1.append(_same_text(hit, one))

    def scores(self) -> OperationScores:
        """Everything that was counted."""
        kinds = [kind.value for kind in OperationKind]
        columns = [*kinds, UNREADABLE, FAILED]
        facts = self.right.total()
        return OperationScores(
            kinds={k: KindScore(asked=self.asked[k], right=self.right[k], hits=self.hits[k]) for k in kinds},
            confusion={right: {asked: self.cells[right, asked] for asked in columns} for right in kinds},
            accuracy=self.hits.total() / facts if facts else None,
            update_f1=sum(self.update_f1) / len(self.update_f1) if self.update_f1 else None,
            refused=self.refused,
            turns=self.turns,
            facts=facts,
        )


async def scores(
    conversations: Iterable[SimulatedConversation],
    completer: Completer | None,
    embedder: Embedder,
    rules: Rules,
    concurrency: int,
) -> OperationScores:
    """Ask a manager about every turn that holds facts; without a completer, each fact is added."""
    tally = Tally()
    for conversation in conversations:
        episodes = [episode async for episode in simulated_episodes(conversation, embedder, rules)]
        replies = await at_once([partial(_reply, completer, episode) for episode in episodes], concurrency)
        for episode, reply in zip(episodes, replies, strict=True):
            await _count(tally, episode, reply, embedder)
    return tally.scores()


async def _reply(completer: Completer | None, episode: ManagerEpisode) -> str | None:
    """None where the model failed."""
    if completer is None:
        return json.dumps({f"f{place}": [{"op": OperationKind.ADD}] for place in range(1, len(episode.facts) + 1)})
    try:
        return (await completer.complete(episode.prompt)).text
    except NoReply:
        return None


async def _count(tally: Tally, episode: ManagerEpisode, reply: str | None, embedder: Embedder) -> None:
    right = episode.right or ()
    if reply is None:
        tally.add(right, None, FAILED)
        return
    done = await decided(episode, reply, embedder)
    tally.add(right, done.decision.operations if done.plan else None, UNREADABLE)
    tally.refused += len(done.plan.rejected) if done.plan else 0


def _same_text(operation: Operation, right: Operation) -> float:
    return scoring.mem0_f1(operation.text or "", right.text or "")
