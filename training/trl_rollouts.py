"""TRL's GRPO trainer with our metrics: what is counted, shown and refused in each round of replies."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
import trl.trainer.grpo_trainer
import trl.trainer.utils
from torch import Tensor
from trl import GRPOTrainer

from app.local.constrain import Vocabulary
from training.constrained import held_to
from training.engine import NothingScored, Reward, Row, Task, UnfitConfiguration
from training.samples import Sample
from training.shared_prefill import shared_prefill
from training.trl_quiet import Local

RewardFunction = Callable[..., Awaitable[list[float | None]]]


def score_reply_tokens_alone() -> None:
    """Keep the LM head off prompt tokens. TRL does so on devices with Triton alone, so that shapes stay the same
    elsewhere; on a processor nothing is compiled for a shape, and the head is most of a small model's work."""
    if not callable(getattr(trl.trainer.utils, "_use_triton", None)):
        raise ImportError("this TRL has no _use_triton; the version is pinned exactly")
    trl.trainer.utils._use_triton = lambda device: True


@contextmanager
def as_sampled() -> Iterator[None]:
    """Within it, the replies of a round are not shuffled before they are divided into micro-batches."""
    module: Any = trl.trainer.grpo_trainer
    original = module.shuffle_sequence_dict
    module.shuffle_sequence_dict = lambda batch: batch
    try:
        yield
    finally:
        module.shuffle_sequence_dict = original


def reward_function(task: Task, rows: Sequence[Row], tokenizer: Any, concurrency: int) -> RewardFunction:
    """The task's reward as TRL calls it; replies are scored side by side."""

    async def reward(
        *, completion_ids: list[list[int]], row: list[int], log_metric: Any, log_extra: Any, **_: Any
    ) -> list[float | None]:
        replies = tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
        gate = asyncio.Semaphore(concurrency)

        async def score(reply: str, place: int) -> Reward | None:
            async with gate:
                return await task.reward(reply, rows[place])

        rewards = await asyncio.gather(*(score(*pair) for pair in zip(replies, row, strict=True)))
        for one, place in zip(rewards, row, strict=True):
            for name, value in _checked(one, rows[place]).items():
                log_metric(f"terms/{name}", value)
        log_extra("row", row)
        log_extra("reply", replies)
        log_extra("terms", [dict(one.terms) if one else {} for one in rewards])
        return [one.total if one else None for one in rewards]

    return reward


def _checked(reward: Reward | None, row: Row) -> dict[str, float]:
    if reward is None:
        return {}
    numbers = {"total": reward.total, **reward.terms}
    if bad := [name for name, value in numbers.items() if not math.isfinite(value)]:
        raise ValueError(f"the reward of {row.id} is no finite number: {', '.join(bad)}")
    return dict(reward.terms)


class RolloutTrainer(Local, GRPOTrainer):  # type: ignore[misc]
    """Counts groups that teach nothing, keeps the replies of a round to be shown, and reads prompts once."""

    def __init__(
        self,
        *,
        rows: Sequence[Row],
        share_prefill: bool,
        keep_groups: bool = False,
        constrained: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._rows = rows
        self._share_prefill, self._keep_groups = share_prefill, keep_groups
        self._vocabulary = self._vocabulary_of_replies() if constrained else None
        self._asked: Sequence[Row] = ()
        """The rows whose replies are sampled next, in the order of their prompts."""

    def _vocabulary_of_replies(self) -> Vocabulary:
        reader: Any = self.processing_class
        size = self.accelerator.unwrap_model(self.model).config.vocab_size
        # Some tokenizers have marks that the model has no logit for.
        return Vocabulary(reader, max(size, len(reader)), [reader.eos_token_id])

    def samples(self) -> list[Sample]:
        """The replies of the round that is under way."""
        extra = self._logs["extra"]
        rewards: Sequence[float] = next(iter(self._logs["rewards"].values()), [])
        advantages: Sequence[float | None] = list(self._logs["advantages"])
        if not self.by_group:
            advantages = [None] * len(advantages)
        return [
            Sample(self._rows[row], reply, None if math.isnan(reward) else reward, terms, advantage)
            for row, reply, reward, terms, advantage in zip(
                extra["row"], extra["reply"], rewards, extra["terms"], advantages, strict=True
            )
        ]

    by_group = True
    """Whether advantages compare the replies to one prompt."""

    def _calculate_rewards(self, *arguments: Any) -> Tensor:
        rewards: Tensor = super()._calculate_rewards(*arguments)
        self._count_groups(rewards[:, 0])
        return rewards

    def _count_groups(self, rewards: Tensor) -> None:
        counts = groups_that_teach_nothing(rewards.view(-1, self.num_generations))
        if counts["groups_not_scored"] == counts["groups"]:
            raise NothingScored("No reply of this round could be scored.")
        for name, count in counts.items():
            self._metrics["train"][name].append(count)

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        with as_sampled() if self._keep_groups else nullcontext():
            return super()._prepare_inputs(generation_batch)

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        self._asked = [self._rows[one["row"]] for one in inputs if "row" in one]
        return super()._generate_and_score_completions(inputs)

    def _generate_single_turn(self, *arguments: Any, **named: Any) -> Any:
        model = self.accelerator.unwrap_model(self.model)
        with ExitStack() as around:
            if self._vocabulary:
                around.enter_context(held_to(model, self._schemas(), self._vocabulary))
            if self._share_prefill:
                around.enter_context(shared_prefill(model))
            return super()._generate_single_turn(*arguments, **named)

    def _schemas(self) -> list[Mapping[str, Any]]:
        if free := [row.id for row in self._asked if row.reply_schema is None]:
            raise UnfitConfiguration(f"rollout.constrained: no schema holds the replies to {free[0]}.")
        return [row.reply_schema for row in self._asked if row.reply_schema is not None]


def groups_that_teach_nothing(rewards: Tensor) -> dict[str, float]:
    """Counts of a (groups, replies) tensor of rewards, in which NaN is a reply that could not be scored."""
    known = ~rewards.isnan()
    highest = rewards.masked_fill(~known, -torch.inf).amax(dim=1)
    lowest = rewards.masked_fill(~known, torch.inf).amin(dim=1)
    any_known = known.any(dim=1)
    return {
        "groups": float(len(rewards)),
        "groups_without_variance": float((any_known & (highest == lowest)).sum()),
        "groups_not_scored": float((~any_known).sum()),
        "replies_not_scored": float((~known).sum()),
    }
