"""A round of LoGo-GRPO (Memory-R2, arXiv 2605.21768): trajectories, and decisions made again from the same position.

Plain GRPO compares whole trajectories whose banks have long diverged, and praises or blames each of their decisions
for all of them. Decisions made again from one position differ in nothing but themselves. Knows no engine.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, TypeVar

import torch

from training.advantages import group_relative
from training.config import Logo
from training.engine import Reward, Row, TrajectoryTask

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """What the policy said, as text and in tokens."""

    text: str
    prompt_ids: list[int]
    ids: list[int]
    logprobs: list[float] | None = None
    """Of the sampler, where it is not the model that is trained."""


Sample = Callable[[Sequence[Row]], Sequence[Reply | None]]
"""Replies to rows, in their order; None for a prompt that is too long."""
Wait = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine to its end."""


@dataclass(frozen=True)
class Decision:
    """A reply, and the position that it was given at."""

    position: Any
    row: Row
    reply: Reply


@dataclass
class Path:
    """Decisions one after the other."""

    end: Any
    decisions: list[Decision] = field(default_factory=list)
    cut: bool = False
    """A prompt became too long for it to go on; it is then not scored, since it is asked about less than the others."""
    reward: Reward | None = None


@dataclass(frozen=True)
class Group:
    """Paths from the same position, which are compared with each other."""

    start: Any
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Played:
    """A round before anything is learned from it."""

    whole: tuple[Group, ...]
    """Trajectories of a conversation, with their rewards at the end."""
    local: tuple[Group, ...]
    """Decisions made again, with the rewards of their own."""


@dataclass(frozen=True)
class Credit:
    """A decision with what it is to be praised or blamed for."""

    decision: Decision
    path: Path
    advantage: float
    local: bool


class Player:
    """Plays rounds. `concurrency` is how many positions a task works on at the same time."""

    def __init__(self, task: TrajectoryTask[Any], logo: Logo, sample: Sample, wait: Wait, concurrency: int) -> None:
        self._task, self._logo, self._sample, self._wait = task, logo, sample, wait
        self._concurrency = concurrency

    def play(self, starts: Sequence[int], length: int, chance: random.Random) -> Played:
        """Trajectories about each of the starts, then decisions made again from some of their positions."""
        draws = [chance.randrange(2**31) for _ in starts]
        made = self._side_by_side(
            [self._task.start(start, length, draw) for start, draw in zip(starts, draws, strict=True)]
        )
        whole = self._rolled(made, self._logo.trajectories, length)
        self._score(whole, lambda group, path: self._task.reward_at_end(path.end))
        snapshots = [position for group in whole for position in self._snapshots(group, chance)]
        local = self._rolled(snapshots, self._logo.inner_replies, self._logo.inner_turns)
        self._score(local, lambda group, path: self._task.local_reward(group.start, path.end))
        return Played(whole, local)

    def _rolled(self, starts: Sequence[Any], members: int, limit: int) -> tuple[Group, ...]:
        """Paths of at most `limit` decisions; what all of them decide next is sampled together."""
        groups = tuple(Group(start, tuple(Path(start) for _ in range(members))) for start in starts)
        paths = [path for group in groups for path in group.paths]
        for _ in range(limit):
            open_ = [path for path in paths if path.end.row is not None and not path.cut]
            if not open_:
                break
            replies = self._sample([path.end.row for path in open_])
            for path, reply in zip(open_, replies, strict=True):
                if reply is None:
                    path.cut = True
                else:
                    path.decisions.append(Decision(path.end, path.end.row, reply))
            going = [path for path in open_ if not path.cut]
            ends = self._side_by_side([self._task.decide(path.end, path.decisions[-1].reply.text) for path in going])
            for path, end in zip(going, ends, strict=True):
                path.end = end
        return groups

    def _score(self, groups: Sequence[Group], reward: Callable[[Group, Path], Awaitable[Reward | None]]) -> None:
        pairs = [(group, path) for group in groups for path in group.paths if path.decisions and not path.cut]
        rewards = self._side_by_side([reward(group, path) for group, path in pairs])
        for (_, path), one in zip(pairs, rewards, strict=True):
            path.reward = _checked(one, path.decisions[0].row)

    def _snapshots(self, group: Group, chance: random.Random) -> list[Any]:
        """A position of one trajectory at each of some steps, by chance."""
        steps: dict[int, list[Any]] = {}
        for path in group.paths:
            for step, decision in enumerate(path.decisions):
                if decision.position.scored_alone:
                    steps.setdefault(step, []).append(decision.position)
        fraction = self._logo.inner_fraction
        wanted = min(len(steps), max(1, round(fraction * len(steps)))) if fraction else 0
        return [chance.choice(steps[step]) for step in sorted(chance.sample(sorted(steps), wanted))]

    def _side_by_side(self, work: Sequence[Awaitable[T]]) -> list[T]:
        async def all_of_it() -> list[T]:
            gate = asyncio.Semaphore(self._concurrency)

            async def one(part: Awaitable[T]) -> T:
                async with gate:
                    return await part

            return await asyncio.gather(*map(one, work))

        done: list[T] = self._wait(all_of_it())
        return done


def credited(played: Played, logo: Logo) -> list[Credit]:
    """Every decision of a round, with the advantage of its path among those from the same position."""
    found = []
    for local, groups in ((False, played.whole), (True, played.local)):
        for group in groups:
            gains = group_relative(rewards_of([group]), scale=logo.scale == "group")[0].tolist()
            weight = logo.inner_weight if local else 1.0
            for path, gain in zip(group.paths, gains, strict=True):
                found += [Credit(decision, path, weight * gain, local) for decision in path.decisions]
    return found


def rewards_of(groups: Sequence[Group]) -> torch.Tensor:
    """(groups, members): NaN where a path could not be scored."""
    totals = [[path.reward.total if path.reward else float("nan") for path in group.paths] for group in groups]
    return torch.tensor(totals, dtype=torch.float64)


def mean_terms(groups: Sequence[Group]) -> dict[str, float]:
    """What the rewards are made of, each term's mean over the paths that have it."""
    terms: dict[str, list[float]] = {}
    for group in groups:
        for path in group.paths:
            for name, value in (path.reward.terms if path.reward else {}).items():
                terms.setdefault(name, []).append(value)
    return {name: fmean(values) for name, values in terms.items()}


def chosen(found: Sequence[Credit], rows: int, chance: random.Random) -> list[Credit]:
    """At most so many decisions, by chance, of those that move something; in their order."""
    places = [place for place, credit in enumerate(found) if credit.advantage != 0.0]
    return [found[place] for place in sorted(chance.sample(places, min(rows, len(places))))]


def _checked(reward: Reward | None, row: Row) -> Reward | None:
    numbers = {"total": reward.total, **reward.terms} if reward else {}
    if bad := [name for name, value in numbers.items() if not math.isfinite(value)]:
        raise ValueError(f"the reward of a trajectory from {row.id} is no finite number: {', '.join(bad)}")
    return reward
