"""Training by verl on Ray, for several nodes: the same configuration and task, as files and settings for its program.

Only this module and `verl_agent_loop` know verl. It is in no extra, since its transformers is older than the one of the
other engine: see requirements-verl.txt. It runs as a program of its own, whose processes build the task for
themselves, so that a task is named here by the function that makes it.
"""

from __future__ import annotations

import importlib
import json
import math
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from training import metrics_log, run_folder
from training.config import Grpo, Policy, Ppo, TrainingConfig
from training.engine import Row, Stop, Task, Trained, TrainingError, TrajectoryTask, UnfitConfiguration, never
from training.verl_settings import Settings, overrides

SINGLE, TRAJECTORY = "single_turn_agent", "trajectory"
"""The agent loops: verl's own for one reply, ours for several decisions one after the other."""
LOOPS = "agent_loops.yaml"
ROWS = "rows.parquet"
_POLL_SECONDS = 1.0
_PLAIN = re.compile(r"(?!(?:null|true|false|nan|inf)$)[A-Za-z_/][\w./-]*", re.IGNORECASE)
"""Texts that Hydra reads as themselves without quotes."""
OURS = {
    "critic/rewards/mean": "reward",
    "actor/pg_loss": "loss",
    "actor/grad_norm": "gradient_norm",
    "actor/lr": "learning_rate",
    "actor/kl_loss": "kl",
    "actor/entropy": "entropy",
    "actor/pg_clipfrac": "clipped",
    "response_length/mean": "reply_tokens",
    "response_length/clip_ratio": "replies_cut_off",
    "critic/vf_loss": "value_loss",
    "critic/vf_explained_var": "explained_variance",
    "critic/values/mean": "value_mean",
    "timing_s/step": "seconds",
}
"""verl's names, and ours for the same."""


class NotScored(TrainingError):
    """A reply could not be scored. verl then leaves its whole group out."""


class VerlFailed(TrainingError):
    """verl's program ended with an error; its own output says why."""


@dataclass(frozen=True)
class TaskSource:
    """A task by the function that makes it: `module:function`, called with JSON values in each process."""

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def packed(self) -> str:
        """As JSON without an apostrophe, which would end a value of Hydra's."""
        return json.dumps(self.arguments, sort_keys=True).replace("'", "\\u0027")


# In verl's processes


@cache
def built(function: str, arguments: str) -> Any:
    """The task, once for each process."""
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)(**json.loads(arguments))


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any],
    *,
    function: str,
    arguments: str,
    **_: Any,
) -> dict[str, float]:
    """A reply's reward in the form of verl's custom reward function. Raises `NotScored`, and ValueError for a row that
    the task does not have or a reward that is no number."""
    task: Task = built(function, arguments)
    place, name = int(extra_info["index"]), str(extra_info["id"])
    if place >= len(task.rows) or task.rows[place].id != name:
        raise ValueError(f"the task built here has other rows than the run: {name} is not its row {place}")
    return scored(await task.reward(solution_str, task.rows[place]), name)


def scored(reward: Any, name: str) -> dict[str, float]:
    """The score with its terms, as verl logs them."""
    if reward is None:
        raise NotScored(f"a reply to {name} could not be scored")
    numbers = {"score": reward.total} | {f"terms/{term}": value for term, value in reward.terms.items()}
    if bad := [term for term, value in numbers.items() if not math.isfinite(value)]:
        raise ValueError(f"the reward of {name} is no finite number: {', '.join(bad)}")
    return numbers


# Files for verl


def write_rows(path: Path, task: Task | TrajectoryTask[Any], config: TrainingConfig, method: Policy) -> None:
    """What verl reads: a line for each prompt of each round, in the order in which they come."""
    import pyarrow
    from pyarrow import parquet

    lines = _starts(task, config, method) if isinstance(task, TrajectoryTask) else _prompts(task, config, method)
    parquet.write_table(pyarrow.Table.from_pylist(lines), path)


def _prompts(task: Task, config: TrainingConfig, method: Policy) -> list[dict[str, Any]]:
    from training import models

    reader = models.tokenizer(config.model)
    rows, most = task.rows, config.rollout.max_prompt_tokens
    if text := next((row.id for row in rows if isinstance(row.prompt, str)), None):
        raise UnfitConfiguration(f"verl renders prompts itself, and {text} is rendered already.")
    lengths = [len(models.prompt_tokens(reader, row)) for row in rows]
    kept = [place for place, length in enumerate(lengths) if length <= most]
    if len(kept) < len(rows) and config.rollout.long_prompts == "refuse":
        # Left to itself, verl would cut the beginning of a long prompt off.
        raise UnfitConfiguration(f"{len(rows) - len(kept)} of {len(rows)} rows have more than {most} tokens.")
    order = models.in_order(kept, method.rounds * config.rollout.prompts, config.seed)
    chats = {place: models.as_chat(rows[place], reader.all_special_tokens) for place in kept}
    return [_line(chats[place], rows[place], place) for place in order]


def _line(chat: Any, row: Row, place: int) -> dict[str, Any]:
    return {
        "data_source": "memory-r1",
        "agent_name": SINGLE,
        "prompt": chat,
        "reward_model": {"style": "rule", "ground_truth": row.target or ""},
        "extra_info": {"index": place, "id": row.id},
    }


def _starts(task: TrajectoryTask[Any], config: TrainingConfig, method: Policy) -> list[dict[str, Any]]:
    from training import models

    if config.logo is None:
        raise UnfitConfiguration("The lengths of trajectories are those of the section logo, which is missing.")
    order = models.in_order(range(len(task.starts)), method.rounds * config.rollout.prompts, config.seed)
    lengths = config.logo.model_copy(update={"rounds": method.rounds})
    return [
        {
            "data_source": "memory-r1",
            "agent_name": TRAJECTORY,
            "prompt": [{"role": "user", "content": task.starts[place]}],
            "reward_model": {"style": "rule", "ground_truth": ""},
            "extra_info": {
                "index": place,
                "id": task.starts[place],
                "decisions": lengths.length(number // config.rollout.prompts),
                "draw": config.seed * 1_000_003 + number,
            },
        }
        for number, place in enumerate(order)
    ]


def write_loops(path: Path, source: TaskSource) -> None:
    """The agent loops beside verl's own."""
    loop = {
        "name": TRAJECTORY,
        "_target_": "training.verl_agent_loop.TrajectoryLoop",
        "function": source.function,
        "arguments": source.packed,
    }
    # JSON is YAML.
    path.write_text(json.dumps([loop], indent=1) + "\n", encoding="utf-8")


# Running it


def command(config: TrainingConfig, method: Policy, source: TaskSource, folder: Path, *, resume: bool) -> list[str]:
    """What is run on one node of the cluster. Raises `UnfitConfiguration` for what verl cannot do."""
    settings = overrides(config, method, folder.absolute(), resume=resume)
    settings |= {
        "reward.custom_reward_function.path": "pkg://training.verl_adapter",
        "reward.custom_reward_function.name": "compute_score",
        "+reward.custom_reward_function.reward_kwargs.function": source.function,
        "+reward.custom_reward_function.reward_kwargs.arguments": source.packed,
        "actor_rollout_ref.rollout.agent.agent_loop_config_path": str(folder.absolute() / LOOPS),
        "data.train_files": [str(folder.absolute() / ROWS)],
        "data.val_files": [str(folder.absolute() / ROWS)],
    }
    # Where its loggers write; a resumed run has a file of its own, since verl begins each anew.
    part = len(list(folder.glob("verl-*.jsonl"))) + 1
    environment = "+ray_kwargs.ray_init.runtime_env.env_vars"
    settings |= {
        f"{environment}.VERL_FILE_LOGGER_PATH": str(folder.absolute() / f"verl-{part:03}.jsonl"),
        f"{environment}.TENSORBOARD_DIR": str(folder.absolute() / "tensorboard"),
    }
    return [sys.executable, "-m", "verl.trainer.main_ppo", *(f"{name}={_said(v)}" for name, v in settings.items())]


def dry_run(config: TrainingConfig, method: Policy, source: TaskSource, folder: Path) -> str:
    """The command as text, one setting a line, to be read or pasted."""
    return " \\\n    ".join(map(shlex.quote, command(config, method, source, folder, resume=False)))


def _said(value: Settings) -> str:
    """A value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        if _PLAIN.fullmatch(value):
            return value
        escaped = value.replace("'", "\\'")
        return f"'{escaped}'"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_said, value))}]"
    return str(value)


def refuse_what_cannot_run(config: TrainingConfig) -> None:
    """Raise `UnfitConfiguration` where there is no cluster to run on."""
    if config.verl is None:
        raise UnfitConfiguration("The configuration has no section verl.")
    if find_spec("verl") is None:
        raise UnfitConfiguration("verl is not installed here: pip install -r requirements-verl.txt, in an own venv.")
    import torch

    if not torch.cuda.is_available():
        raise UnfitConfiguration("verl needs a GPU, on this node too.")


class VerlTrainer:
    """The engine for many nodes. `source` makes the same task in verl's processes."""

    def __init__(self, source: TaskSource) -> None:
        self._source = source

    def grpo(
        self,
        config: TrainingConfig,
        task: Task | TrajectoryTask[Any],
        out_dir: Path,
        *,
        resume: bool = False,
        stop: Stop = never,
    ) -> Trained:
        """With a task of trajectories, each is compared as a whole, as plain GRPO does."""
        if config.grpo is None:
            raise UnfitConfiguration("The configuration has no section grpo.")
        return self._run(config, config.grpo, "grpo", task, out_dir, resume, stop)

    def ppo(
        self, config: TrainingConfig, task: Task, out_dir: Path, *, resume: bool = False, stop: Stop = never
    ) -> Trained:
        if config.ppo is None:
            raise UnfitConfiguration("The configuration has no section ppo.")
        if isinstance(task, TrajectoryTask):
            raise UnfitConfiguration("verl's critic does not see that decisions belong to one trajectory: use grpo.")
        return self._run(config, config.ppo, "ppo", task, out_dir, resume, stop)

    def _run(
        self,
        config: TrainingConfig,
        method: Grpo | Ppo,
        name: str,
        task: Task | TrajectoryTask[Any],
        out_dir: Path,
        resume: bool,
        stop: Stop,
    ) -> Trained:
        refuse_what_cannot_run(config)
        arguments = command(config, method, self._source, out_dir, resume=resume)
        run_folder.start(out_dir, config, name, resume)
        write_rows(out_dir / ROWS, task, config, method)
        write_loops(out_dir / LOOPS, self._source)
        stopped = _supervised(arguments, stop)
        metrics = collected(out_dir)
        rounds = _last_checkpoint(out_dir)
        if rounds is None:
            if stopped:
                return Trained(out_dir / "model", metrics, 0, False)
            raise VerlFailed("verl left no checkpoint.")
        merge = merging(out_dir, rounds)
        subprocess.run(merge, check=True)
        return Trained(out_dir / "model", metrics, rounds, rounds >= method.rounds)


def _supervised(arguments: Sequence[str], stop: Stop) -> bool:
    """True where the run was stopped; what came after its last checkpoint is then lost. Raises `VerlFailed`."""
    process = subprocess.Popen(arguments)
    try:
        while process.poll() is None:
            if stop():
                process.terminate()
                process.wait()
                return True
            time.sleep(_POLL_SECONDS)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode:
        raise VerlFailed(f"verl ended with status {process.returncode}; see what it wrote above.")
    return False


def _last_checkpoint(out_dir: Path) -> int | None:
    told = out_dir / "checkpoints" / "latest_checkpointed_iteration.txt"
    return int(told.read_text(encoding="utf-8")) if told.exists() else None


def merging(out_dir: Path, rounds: int) -> list[str]:
    """The command that makes a model, or an adapter, out of a checkpoint's shards."""
    actor = out_dir / "checkpoints" / f"global_step_{rounds}" / "actor"
    return [
        *(sys.executable, "-m", "verl.model_merger", "merge", "--backend", "fsdp"),
        *("--local_dir", str(actor), "--target_dir", str(out_dir / "model")),
    ]


def collected(out_dir: Path) -> Path:
    """The metrics of all of a run's parts under our names, one JSON line a round; the newest of a round counts."""
    rounds: dict[int, dict[str, float | None]] = {}
    for part in sorted(out_dir.glob("verl-*.jsonl")):
        for line in part.read_text(encoding="utf-8").split("\n")[:-1]:
            told = json.loads(line)
            rounds[int(told["step"])] = our_metrics(told["data"])
    path = out_dir / metrics_log.FILE
    path.unlink(missing_ok=True)
    log = metrics_log.MetricsLog(out_dir, after_round=0, tensorboard=False)
    for number in sorted(rounds):
        if rounds[number]:
            log.write(number, rounds[number])
    return path


def our_metrics(told: Mapping[str, Any]) -> dict[str, float | None]:
    """What verl logged of a round, under our names; what is a detail of the engine is left out."""
    return {OURS[name]: float(value) for name, value in told.items() if name in OURS}
