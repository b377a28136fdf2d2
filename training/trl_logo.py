"""LoGo-GRPO on TRL's GRPO trainer: its rows are the decisions of a round, and their advantages come from `logo`.

A data set row is the number of a round; TRL's hook for rollouts plays it. Sampling, ratio, clipping, divergence,
accumulation and checkpoints stay TRL's. Each process plays conversations of its own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor

from training import logo, models
from training.config import TrainingConfig
from training.engine import NothingScored, Row, TrajectoryTask, UnfitConfiguration
from training.logo import Credit, Decision, Group, Played, Reply
from training.samples import Sample
from training.trl_rollouts import RolloutTrainer, groups_that_teach_nothing

_BARE = Decision(None, Row("", ""), Reply("", [], []))


class LogoTrainer(RolloutTrainer):
    """Plays trajectories, decides again from some of their positions, and learns from all of these decisions."""

    def __init__(self, *, task: TrajectoryTask[Any], config: TrainingConfig, **options: Any) -> None:
        super().__init__(rows=(), reward_funcs=_kept_rewards, **options)
        assert config.logo is not None
        self._config, self._logo, self._task = config, config.logo, task
        # Given to the constructor, it would announce itself as an experiment.
        self.rollout_func = self._play
        places = range(len(task.starts))
        self._starts = models.in_order(places, config.logo.rounds * config.logo.conversations, config.seed)
        self._played = Played((), ())
        self._credits: list[Credit] = []

    def _play(self, prompts: Sequence[str], _: Any) -> dict[str, Any]:
        """The round's decisions in the form that TRL asks for, as many as it has rows for on this process."""
        number, process = int(prompts[0]), self.accelerator.process_index
        chance = random.Random(f"{self._config.seed}/{number}/{process}")
        share = self._logo.conversations // self.accelerator.num_processes
        first = number * self._logo.conversations + process * share
        concurrency = self._config.rollout.reward_concurrency
        player = logo.Player(self._task, self._logo, self._sampled, self._wait, concurrency)
        self._played = player.play(self._starts[first : first + share], self._logo.length(number), chance)
        found = logo.credited(self._played, self._logo)
        self._credits = logo.chosen(found, len(prompts), chance)
        self._count_rows(found, len(prompts))
        return self._as_rows(len(prompts))

    def _as_rows(self, count: int) -> dict[str, Any]:
        replies = [credit.decision.reply for credit in self._credits]
        filling = count - len(replies)
        prompt = replies[0].prompt_ids if replies else [self._tokenizer.eos_token_id]
        logprobs = [reply.logprobs or [] for reply in replies] + [[0.0]] * filling
        # Rows that only fill the round up say an end mark, which is masked.
        return {
            "prompt_ids": [reply.prompt_ids for reply in replies] + [prompt[-1:]] * filling,
            "completion_ids": [reply.ids for reply in replies] + [[self._tokenizer.eos_token_id]] * filling,
            "logprobs": logprobs if self.use_vllm else None,
            "env_mask": [[1] * len(reply.ids) for reply in replies] + [[0]] * filling,
        }

    def _sampled(self, rows: Sequence[Row]) -> list[Reply | None]:
        """One reply to each row, all sampled together."""
        limit = self._config.rollout.max_prompt_tokens
        prompts = [models.prompt_tokens(self._tokenizer, row) for row in rows]
        fit = [place for place, prompt in enumerate(prompts) if len(prompt) <= limit]
        if len(fit) < len(rows) and self._config.rollout.long_prompts == "refuse":
            name, length = next((row.id, len(p)) for row, p in zip(rows, prompts, strict=True) if len(p) > limit)
            raise UnfitConfiguration(f"A prompt of {name} grew to {length} tokens, more than {limit}.")
        replies: list[Reply | None] = [None] * len(rows)
        if not fit:
            return replies
        self._asked = [rows[place] for place in fit]
        said, logprobs = self._generate_single_turn([prompts[place] for place in fit], None, {}, 1)
        texts = self._tokenizer.batch_decode(said, skip_special_tokens=True)
        for n, place in enumerate(fit):
            replies[place] = Reply(texts[n], prompts[place], said[n], logprobs[n] if logprobs else None)
        return replies

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.async_loop).result()

    def _count_groups(self, rewards: Tensor) -> None:
        """The rows are no groups; what is to be counted of a round is known since it was played."""

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        made = super()._generate_and_score_completions(inputs)
        real = len(self._credits)
        advantages = torch.zeros_like(made["advantages"])
        advantages[:real] = torch.tensor([credit.advantage for credit in self._credits])
        self._count_round(made)
        total = int(self.accelerator.reduce(torch.tensor(real, device=advantages.device), reduction="sum"))
        # A mean over rows counts those that fill up; this takes them out again.
        fullness = torch.tensor(self._logo.rows / max(1, total), device=advantages.device)
        return made | {"advantages": advantages, "fullness": fullness}

    def _compute_loss(self, model: Any, inputs: dict[str, Tensor]) -> Tensor:
        loss: Tensor = super()._compute_loss(model, inputs)
        return loss * inputs["fullness"] if self._logo.level == "turn" else loss

    # What a round shows

    def _count_rows(self, found: Sequence[Credit], rows: int) -> None:
        idle = sum(credit.advantage == 0.0 for credit in found)
        local = sum(credit.local for credit in self._credits)
        self._rows_counted = {
            "rows_global": len(self._credits) - local,
            "rows_local": local,
            "rows_without_advantage": idle,
            "rows_dropped": len(found) - idle - len(self._credits),
            "rows_filled_up": rows - len(self._credits),
        }

    def _count_round(self, made: dict[str, Tensor]) -> None:
        """What was seen on all processes, in place of what TRL makes of rows that are no groups."""
        seen = [self._played] if self.accelerator.num_processes == 1 else gather_object([_told(self._played)])
        whole = [group for played in seen for group in played.whole]
        local = [group for played in seen for group in played.local]
        rewards, again = logo.rewards_of(whole), logo.rewards_of(local)
        counts = groups_that_teach_nothing(rewards)
        if counts["groups_not_scored"] == counts["groups"]:
            raise NothingScored("No trajectory of this round could be scored.")
        known = rewards[~rewards.isnan()]
        self._put("reward", known.mean().item())
        self._put("reward_std", known.std().item() if len(known) > 1 else 0.0)
        if local:
            counts |= {f"local_{name}": count for name, count in groups_that_teach_nothing(again).items()}
            self._put("local_reward", again.nanmean().item())
        for prefix, groups in (("", whole), ("local_", local)):
            for name, mean in logo.mean_terms(groups).items():
                self._put(f"{prefix}terms/{name}", mean)
        for name, count in counts.items():
            self._put(name, count)
        paths = [path for group in whole for path in group.paths]
        self._put("trajectory_decisions", sum(len(path.decisions) for path in paths) / len(paths))
        self._put("trajectories_cut", sum(path.cut for path in paths))
        self._count_replies(made)

    def _count_replies(self, made: dict[str, Tensor]) -> None:
        device = self.accelerator.device
        ends = {*self.eos_token_ids, self._tokenizer.pad_token_id}
        replies = [credit.decision.reply.ids for credit in self._credits]
        own = [*self._rows_counted.values(), sum(map(len, replies)), sum(ids[-1] not in ends for ids in replies)]
        sums = self.accelerator.reduce(torch.tensor(own, dtype=torch.float64, device=device), reduction="sum").tolist()
        for name, total in zip(self._rows_counted, sums, strict=False):
            self._put(name, total)
        learned = max(1.0, sums[0] + sums[1])
        self._put("completions/mean_length", sums[-2] / learned)
        self._put("completions/clipped_ratio", sums[-1] / learned)

    def _put(self, name: str, value: float) -> None:
        """In place of what TRL said under this name; metrics are logged, and forgotten, once a round."""
        self._metrics["train"][name] = [float(value)]

    def samples(self) -> list[Sample]:
        """The first trajectory of each conversation, decision by decision, between what was decided again."""
        gains = {id(credit.decision): credit.advantage for credit in logo.credited(self._played, self._logo)}
        whole = [
            [_sample(path, step, f", step {step + 1}", gains)]
            for group in self._played.whole
            for path in group.paths[:1]
            for step in range(len(path.decisions))
        ]
        local = [
            [_sample(path, 0, f", again {n + 1}", gains) for path in group.paths if path.decisions]
            for n, group in enumerate(self._played.local)
        ]
        mixed = chain.from_iterable(zip_longest(local, whole, fillvalue=list[Sample]()))
        return list(chain.from_iterable(mixed))


async def _kept_rewards(*, completion_ids: list[list[int]], **_: Any) -> list[float]:
    """TRL wants a reward for each row; these are overwritten with the advantages of `logo`."""
    return [0.0] * len(completion_ids)


def _told(played: Played) -> Played:
    """What other processes count of a round: rewards and lengths, without positions and texts."""

    def bare(group: Group) -> Group:
        return Group(
            None, tuple(replace(path, end=None, decisions=[_BARE] * len(path.decisions)) for path in group.paths)
        )

    return Played(tuple(map(bare, played.whole)), tuple(map(bare, played.local)))


def _sample(path: logo.Path, step: int, suffix: str, gains: dict[int, float]) -> Sample:
    decision, reward = path.decisions[step], path.reward
    row = replace(decision.row, id=decision.row.id + suffix)
    terms = reward.terms if reward else {}
    return Sample(row, decision.reply.text, reward.total if reward else None, terms, gains[id(decision)])
