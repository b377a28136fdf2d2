"""LoGo-GRPO for real at toy size: what a round is made of, and that it teaches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.training_engine import toy
from tests.training_engine.test_learning import rewards, rises
from tests.training_engine.test_resuming import after, assert_same
from training import metrics_log
from training.config import Log, Logo, Model, Rollout, TrainingConfig
from training.engine import NothingScored, Reward, Row, UnfitConfiguration
from training.trl_adapter import TrlTrainer


@dataclass(frozen=True)
class Written:
    """What was written so far; the next prompt shows what the last reply was worth."""

    place: int
    left: int
    replies: tuple[str, ...] = ()

    @property
    def row(self) -> Row | None:
        if self.left == 0:
            return None
        last = share(self.replies[-1:]) if self.replies else 0.0
        return Row(f"story-{self.place}/{len(self.replies)}", toy.prompt(f"{self.place} {round(last * 9)}"))

    @property
    def scored_alone(self) -> bool:
        return len(self.replies) % 2 == 1


def share(replies: Sequence[str]) -> float:
    """Of small letters, the mean over replies."""
    scores = [sum("a" <= letter <= "z" for letter in reply) / toy.REPLY_TOKENS for reply in replies]
    return fmean(scores)


@dataclass
class Story:
    """A task of several replies one after the other, worth the share of small letters in all of them."""

    starts: Sequence[str] = ("one", "two", "three")
    scored: bool = True
    rewarded: list[tuple[str, int, int]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    """Decisions after which the story of a place is over."""

    async def start(self, place: int, decisions: int, draw: int) -> Written:
        await asyncio.sleep(0)
        return Written(place, min(decisions, self.ends.get(place, decisions)))

    async def decide(self, position: Written, completion: str) -> Written:
        await asyncio.sleep(0)
        return Written(position.place, position.left - 1, (*position.replies, completion))

    async def reward_at_end(self, position: Written) -> Reward | None:
        self.rewarded.append(("end", position.place, len(position.replies)))
        worth = share(position.replies)
        return Reward(worth, {"letters": worth}) if self.scored else None

    async def local_reward(self, before: Written, after: Written) -> Reward | None:
        self.rewarded.append(("local", before.place, len(before.replies)))
        worth = share(after.replies[len(before.replies) :])
        return Reward(worth, {"letters": worth})


def settings(folder: Path, **changed: Any) -> TrainingConfig:
    usual = {"rounds": 12, "trajectories": 6, "rows": 24, "lengths": (3,), "learning_rate": 1e-2, "micro_batch": 8}
    sections = {name: changed.pop(name) for name in ("model", "rollout", "log") if name in changed}
    return toy.config(folder, logo=Logo(**usual | changed), **sections)


@pytest.mark.parametrize(
    ("level", "adapter", "rounds"), [("turn", False, 9), ("token", True, 12)], ids=["turn-full", "token-lora"]
)
def test_logo_raises_the_reward(level: str, adapter: bool, rounds: int, model_folder: Path, tmp_path: Path) -> None:
    model = Model(name=str(model_folder), lora=toy.LORA if adapter else None)
    chosen = settings(model_folder, model=model, level=level, rounds=rounds)
    chosen = chosen.model_copy(update={"seed": 2})
    trained = TrlTrainer().logo(chosen, Story(), tmp_path / "run")
    assert trained.finished and trained.rounds == rounds
    assert rises(rewards(trained))
    lines = metrics_log.read(trained.metrics)
    assert rises([line["local_reward"] or 0.0 for line in lines])
    assert lines[-1]["terms/letters"] == pytest.approx(lines[-1]["reward"])


def test_a_round_is_played_and_counted_as_the_configuration_says(model_folder: Path, tmp_path: Path) -> None:
    story = Story(ends={1: 2})
    chosen = settings(
        model_folder,
        rounds=1,
        conversations=3,
        trajectories=4,
        rows=40,
        lengths=(4,),
        inner_fraction=0.5,
        inner_replies=3,
        inner_turns=2,
        log=Log(progress=False, tensorboard=False, samples=3),
    )
    trained = TrlTrainer().logo(chosen, story, tmp_path / "run")
    (line,) = metrics_log.read(trained.metrics)
    ends = [(place, length) for kind, place, length in story.rewarded if kind == "end"]
    assert sorted(ends) == [(0, 4)] * 4 + [(1, 2)] * 4 + [(2, 4)] * 4
    # The steps that are scored alone are the second and the fourth: half of two is one, and of one is one.
    locals_ = [(place, length) for kind, place, length in story.rewarded if kind == "local"]
    assert len(locals_) == 9 and {length for _, length in locals_} <= {1, 3}
    assert [sum(place == one for one, _ in locals_) for place in (0, 1, 2)] == [3, 3, 3]
    assert (line["groups"], line["local_groups"]) == (3, 3)
    assert line["trajectory_decisions"] == pytest.approx((4 + 2 + 4) / 3)
    learned = (line["rows_global"] or 0) + (line["rows_local"] or 0)
    assert learned + (line["rows_filled_up"] or 0) == 40
    assert learned == 40 or line["rows_dropped"] == 0
    made = learned + (line["rows_dropped"] or 0) + (line["rows_without_advantage"] or 0)
    assert 40 + 9 <= made <= 40 + 18
    assert {path.name for path in (tmp_path / "run" / "plots").iterdir()} >= {"reward.png", "rows.png", "groups.png"}
    text = (tmp_path / "run" / "samples" / "round_00001.txt").read_text(encoding="utf-8")
    assert ", again 1" in text and ", step 1" in text and text.count("advantage") >= 4


def test_rows_that_fill_a_round_up_move_nothing(model_folder: Path, tmp_path: Path) -> None:
    """Ten times the rows, nearly all of them filling: the same weights, but for the order of sums."""
    ends = []
    for rows in (24, 240):
        chosen = settings(model_folder, rounds=1, rows=rows, micro_batch=rows, inner_fraction=0.0, learning_rate=1e-3)
        trained = TrlTrainer().logo(chosen, Story(), tmp_path / str(rows))
        (line,) = metrics_log.read(trained.metrics)
        assert line["rows_filled_up"] == rows - 18
        ends.append(line)
    for name in ("loss", "gradient_norm", "reply_tokens", "reward"):
        assert ends[0][name] == pytest.approx(ends[1][name], abs=1e-5), name


def test_a_stopped_run_goes_on_as_if_it_had_not_been(model_folder: Path, tmp_path: Path) -> None:
    def run(folder: str, resume: bool, rounds: int) -> Any:
        chosen = settings(
            model_folder,
            rounds=4,
            rows=12,
            micro_batch=3,
            passes=2,
            minibatches=2,
            lengths=(1, 2),
            kl=0.01,
            entropy=0.001,
        )
        return TrlTrainer().logo(chosen, Story(), tmp_path / folder, resume=resume, stop=after(rounds))

    whole = run("whole", False, 100)
    stopped = run("stopped", False, 2)
    assert (stopped.rounds, stopped.finished) == (2, False)
    assert_same(whole, run("stopped", True, 100))
    lengths = [line["trajectory_decisions"] for line in metrics_log.read(whole.metrics)]
    assert lengths == [1, 1, 2, 2]


def test_prompts_that_grow_too_long_end_the_run_or_their_trajectory(model_folder: Path, tmp_path: Path) -> None:
    class Growing(Story):
        async def decide(self, position: Written, completion: str) -> Written:
            longer = len(self.asked) % 2 == 1
            self.asked.append(completion)
            kind = Long if longer else Written
            return kind(position.place, position.left - 1, (*position.replies, completion))

    class Long(Written):
        @property
        def row(self) -> Row | None:
            return Row("long", toy.prompt("?" * 200)) if self.left else None

    rollout = Rollout(max_reply_tokens=toy.REPLY_TOKENS, max_prompt_tokens=120)
    with pytest.raises(UnfitConfiguration, match=r"A prompt of long grew to \d+ tokens, more than 120"):
        TrlTrainer().logo(settings(model_folder, rollout=rollout), Growing(), tmp_path / "one")
    leaving = rollout.model_copy(update={"long_prompts": "leave out"})
    story = Growing()
    chosen = settings(model_folder, rounds=1, lengths=(2,), inner_fraction=0.0, rollout=leaving)
    trained = TrlTrainer().logo(chosen, story, tmp_path / "two")
    (line,) = metrics_log.read(trained.metrics)
    assert (line["trajectories_cut"], line["replies_not_scored"]) == (3, 3)
    assert (line["trajectory_decisions"], len(story.rewarded)) == (1.5, 3)


def test_a_round_without_a_reward_ends_the_run(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NothingScored):
        TrlTrainer().logo(settings(model_folder), Story(scored=False), tmp_path / "run")
    with pytest.raises(UnfitConfiguration, match="no section logo"):
        TrlTrainer().logo(toy.config(model_folder), Story(), tmp_path / "other")
