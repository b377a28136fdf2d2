"""What happens at the end of each round: metrics, samples, curves, the progress bar, and stopping."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm
from transformers import TrainerCallback

from training import plots, samples
from training.config import Log
from training.engine import Stop
from training.metrics_log import MetricsLog
from training.samples import Sample

OURS = {
    "reward": "reward",
    "reward_std": "reward_std",
    "loss": "loss",
    "grad_norm": "gradient_norm",
    "learning_rate": "learning_rate",
    "kl": "kl",
    "entropy": "entropy",
    "clip_ratio/region_mean": "clipped",
    "completions/mean_length": "reply_tokens",
    "completions/clipped_ratio": "replies_cut_off",
    "sampling/sampling_logp_difference/mean": "sampler_difference",
    "sampling/importance_sampling_ratio/mean": "sampler_ratio",
    "mean_token_accuracy": "token_accuracy",
}
"""TRL's names, and ours for the same."""
_OWN = (
    "terms/",
    "groups",
    "replies_not_scored",
    "value_",
    "explained_variance",
    "critic_",
    "local_",
    "rows_",
    "trajector",
)


def our_metrics(logs: Mapping[str, Any]) -> dict[str, float | None]:
    """What a round logged, under our names; what is a detail of the engine is left out."""
    return {
        OURS.get(name, name): None if value is None else float(value)
        for name, value in logs.items()
        if name in OURS or name.startswith(_OWN)
    }


class Rounds(TrainerCallback):
    """Sees a run at the ends of its rounds. Only the first process writes."""

    def __init__(
        self,
        out_dir: Path,
        log: Log,
        metrics: MetricsLog | None,
        *,
        updates_per_round: int,
        rounds: int,
        agreed_stop: Stop,
        sampled: Callable[[], Sequence[Sample]] | None,
    ) -> None:
        self._out_dir, self._log, self._metrics = out_dir, log, metrics
        self._updates, self._rounds = updates_per_round, rounds
        self._agreed_stop, self._sampled = agreed_stop, sampled
        self._bar: Any = None
        self._since = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        shown = self._metrics is not None and self._log.progress
        done = state.global_step // self._updates
        self._since = time.perf_counter()
        self._bar = tqdm(total=self._rounds, initial=done, unit="round", disable=not shown)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if self._metrics is None or logs is None or "loss" not in logs:
            return
        number = state.global_step // self._updates
        now = time.perf_counter()
        metrics = our_metrics(logs) | {"seconds": now - self._since}
        self._since = now
        self._metrics.write(number, metrics)
        if self._sampled and self._log.samples and (number == 1 or number % self._log.samples_every == 0):
            samples.write(self._out_dir / "samples", number, self._sampled(), self._log.samples)
        self._bar.set_postfix({name: f"{value:.3f}" for name in ("reward", "loss") if (value := metrics.get(name))})
        self._bar.update(number - self._bar.n)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # Between rounds alone: the replies of one that is half used are not in a checkpoint.
        if state.global_step % self._updates == 0 and self._agreed_stop():
            control.should_save = control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._metrics and self._log.plots:
            plots.draw(self._metrics.path, self._out_dir / "plots")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.close()
        self.on_save(args, state, control)
