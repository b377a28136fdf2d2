"""Where the time of a GRPO round goes, ours beside the engine alone, on the same model and prompts.

    python -m tests.bench.training

`engine` is TRL's trainer as it is, with a reward that costs nothing. `ours, same passes` has our rewards, metrics,
samples and checks around the same generation and loss, but keeps the LM head off prompts. `ours` reads what sequences
have in common once. The three take turns in one process; each reply has the same length in all, and ratios are of
rounds that ran side by side.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import trl.trainer.utils
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from app.core.agents import small_model
from app.core.values import Completion, Prompt
from app.main import open_embedder
from app.settings import EmbeddingSettings
from training import models, tasks, trl_adapter
from training.banks import CachedEmbedder
from training.config import CONFIGS, TrainingConfig, load
from training.engine import Task
from training.episode import FrozenAnswerer, Rules
from training.rewards import PRESETS
from training.simulator import world
from training.simulator.pools import Split
from training.trl_adapter import TrlTrainer
from training.trl_quiet import Local, quiet

ENGINE, SAME, OURS = "engine", "ours, same passes", "ours"
PARTS = ("generation", "scoring", "forward", "backward")
Times = dict[str, float]


class _Engine(Local, GRPOTrainer):  # type: ignore[misc]
    """TRL's, as it is."""


class _Instant:
    """An Answer Agent that costs nothing: its model's time is the task's, not the trainer's."""

    async def complete(self, prompt: Prompt) -> Completion:
        return Completion(text='{"memories":[],"answer":null}', policy="instant")


class Clock:
    """Seconds by part, a dictionary for each round; parts do not overlap."""

    def __init__(self) -> None:
        self.rounds: list[Times] = []
        self._now: Times = defaultdict(float)
        self._began = time.perf_counter()
        self._inside = False

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        if self._inside:
            yield
            return
        self._inside, began = True, time.perf_counter()
        try:
            yield
        finally:
            self._inside = False
            self._now[name] += time.perf_counter() - began

    def end_round(self) -> None:
        now = time.perf_counter()
        self._now["whole"] = now - self._began
        self._now["rest"] = self._now["whole"] - sum(self._now[name] for name in PARTS)
        self.rounds.append(self._now)
        self._now, self._began = defaultdict(float), now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="of each variant in one turn; the first is not counted")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--reply-tokens", type=int, default=32)
    chosen = parser.parse_args()
    config = _config(chosen.rounds)
    task = asyncio.run(_task())
    measured: dict[str, list[list[Times]]] = {name: [] for name in (ENGINE, SAME, OURS)}
    for turn in range(chosen.turns):
        for name in measured:
            with _fixed_length(chosen.reply_tokens), tempfile.TemporaryDirectory() as folder:
                measured[name].append(_run(name, config, task, Path(folder) / "run"))
            print(f"turn {turn + 1}, {name}: {measured[name][-1][-1]['whole']:.1f} s a round", flush=True)
    _print(measured, config, chosen)


def _config(rounds: int) -> TrainingConfig:
    """The small configuration, one prompt of eight replies a round, nothing written between."""
    given = load(CONFIGS / "small_cpu.toml")
    changed = given.model_dump()
    changed["rollout"] |= {"prompts": 1}
    changed["grpo"] |= {"rounds": rounds, "micro_batch": 8}
    changed["log"] |= {"progress": False, "samples_every": 1}
    changed["checkpoints"] |= {"every": 1000}
    return TrainingConfig.model_validate(changed)


async def _task() -> Task:
    embedder = CachedEmbedder(await open_embedder(EmbeddingSettings()))
    rules = Rules(extractor=small_model.EXTRACTOR, manager=small_model.MANAGER, answerer=small_model.ANSWERER)
    told = list(islice(world.conversations(Split.TRAIN, 1), 2))
    rows = [row async for row in tasks.manager_rows(told, embedder, rules, seed=1)]
    asked = [row for row in rows if row.columns[tasks.EPISODE].questions]
    agent = FrozenAnswerer(_Instant(), embedder, rules.answerer)
    return tasks.manager_lesson(asked, agent, embedder, PRESETS["small"])


@contextmanager
def _fixed_length(tokens: int) -> Iterator[None]:
    length = {"max_completion_length": tokens, "generation_kwargs": {"min_new_tokens": tokens}}
    original = trl_adapter._policy_arguments
    with mock.patch.object(trl_adapter, "_policy_arguments", lambda *given: original(*given) | length):
        yield


def _run(name: str, config: TrainingConfig, task: Task, out: Path) -> list[Times]:
    """The rounds of one variant, without the first, in which memory is first touched."""
    clock = Clock()
    if name != OURS:
        config = config.model_copy(update={"rollout": config.rollout.model_copy(update={"shared_prefill": False})})
    if name != OURS and config.grpo:
        config = config.model_copy(update={"grpo": config.grpo.model_copy(update={"shared_prefix": False})})
    with _timed(clock):
        if name == ENGINE:
            _engine_alone(config, task, out)
        else:
            TrlTrainer().grpo(config, task, out)
    return clock.rounds[1:]


def _engine_alone(config: TrainingConfig, task: Task, out: Path) -> None:
    assert config.grpo is not None
    reader, model = models.tokenizer(config.model), models.policy(config.model)
    order = models.in_order(range(len(task.rows)), config.grpo.rounds * config.rollout.prompts, config.seed)
    rows = [{"prompt": models.as_chat(task.rows[place], reader.all_special_tokens)} for place in order]
    with quiet():
        _Engine(
            model=model,
            args=GRPOConfig(**trl_adapter._policy_arguments(config, config.grpo, out)),
            train_dataset=Dataset.from_list(rows),
            processing_class=reader,
            peft_config=models.new_adapter(config.model, model),
            reward_funcs=lambda completions, **_: [float(n % 2) for n in range(len(completions))],
        ).train()


@contextmanager
def _timed(clock: Clock) -> Iterator[None]:
    """TRL's own methods, timed; ours are built on them and end in them."""
    utils: Any = trl.trainer.utils
    patched: list[tuple[Any, str, Any]] = [(utils, "_use_triton", utils._use_triton)]

    def replace(owner: Any, method: str, replacement: Callable[..., Any]) -> None:
        patched.append((owner, method, getattr(owner, method)))
        setattr(owner, method, replacement)

    def wrap(owner: Any, method: str, part: str) -> None:
        original = getattr(owner, method)

        def timed(*arguments: Any, **named: Any) -> Any:
            with clock.part(part):
                return original(*arguments, **named)

        replace(owner, method, timed)

    def log(trainer: Any, logs: dict[str, float], *arguments: Any) -> None:
        original_log(trainer, logs, *arguments)
        # The trainer also logs once when it has ended.
        if "loss" in logs:
            clock.end_round()

    original_log = GRPOTrainer.log

    from training.trl_rollouts import RolloutTrainer

    wrap(GRPOTrainer, "_generate_single_turn", "generation")
    wrap(RolloutTrainer, "_generate_single_turn", "generation")
    wrap(GRPOTrainer, "_calculate_rewards", "scoring")
    wrap(RolloutTrainer, "_calculate_rewards", "scoring")
    wrap(GRPOTrainer, "_compute_loss", "forward")
    wrap(torch.Tensor, "backward", "backward")
    replace(GRPOTrainer, "log", log)
    try:
        yield
    finally:
        for owner, method, original in reversed(patched):
            setattr(owner, method, original)


def _print(measured: dict[str, list[list[Times]]], config: TrainingConfig, chosen: argparse.Namespace) -> None:
    flat = {name: [one for turn in turns for one in turn] for name, turns in measured.items()}
    rollout = config.rollout
    print(
        f"\n{chosen.turns} turns of {chosen.rounds - 1} rounds each; {rollout.prompts} prompt x {rollout.replies} "
        f"replies of {chosen.reply_tokens} tokens; {torch.get_num_threads()} threads\n"
    )
    columns = (*PARTS, "rest", "whole")
    print(f"| seconds a round (median) | {' | '.join(columns)} | whole, of the engine's (least-most of the turns) |")
    print("|---" * (len(columns) + 2) + "|")

    def middle(rounds: list[Times], part: str) -> float:
        return statistics.median(one[part] for one in rounds)

    for name, rounds in flat.items():
        cells = [f"{middle(rounds, part):.2f}" for part in columns]
        ratios = [
            middle(own, "whole") / middle(alone, "whole")
            for own, alone in zip(measured[name], measured[ENGINE], strict=True)
        ]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"| {name} | {' | '.join(cells)} | {spread} |")


if __name__ == "__main__":
    main()
