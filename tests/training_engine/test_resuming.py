"""A run that was stopped or killed ends as one that was not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training_engine import toy
from training import metrics_log
from training.config import Checkpoints, Grpo, Model, Ppo, Rollout, Sft, TrainingConfig
from training.engine import NotResumable, Stop, Trained
from training.trl_adapter import TrlTrainer

Run = Callable[[Path, bool, Stop], Trained]


def after(rounds: int) -> Stop:
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= rounds


def runs(folder: Path, method: str, settings: TrainingConfig) -> Run:
    return lambda out, resume, stop: getattr(TrlTrainer(), method)(
        settings, toy.Toy(toy.rows(7)), out, resume=resume, stop=stop
    )


def small(folder: Path, adapter: bool) -> TrainingConfig:
    # Each round is gone through twice in two steps, and the draws of four rounds are more than there are rows.
    return toy.config(
        folder,
        model=Model(name=str(folder), lora=toy.LORA if adapter else None),
        rollout=Rollout(prompts=2, replies=4, max_reply_tokens=toy.REPLY_TOKENS),
        grpo=Grpo(rounds=4, learning_rate=1e-2, micro_batch=2, passes=2, minibatches=2, schedule="linear"),
        ppo=Ppo(rounds=4, learning_rate=1e-2, critic_learning_rate=1e-2, micro_batch=2, passes=2, minibatches=2),
        sft=Sft(rounds=4, learning_rate=1e-2, batch=4, micro_batch=2, schedule="linear"),
        checkpoints=Checkpoints(every=2, keep=3),
    )


def assert_same(one: Trained, other: Trained) -> None:
    for file in one.model.glob("*.safetensors"):
        first, second = load_file(file), load_file(other.model / file.name)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert without_times(one) == without_times(other)


def without_times(trained: Trained) -> list[dict[str, float | None]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in metrics_log.read(trained.metrics)]


@pytest.mark.parametrize(("method", "adapter"), [("grpo", False), ("ppo", True), ("ppo", False), ("sft", True)])
def test_stopping_and_resuming_changes_nothing(method: str, adapter: bool, model_folder: Path, tmp_path: Path) -> None:
    run = runs(model_folder, method, small(model_folder, adapter))
    whole = run(tmp_path / "whole", False, after(100))
    stopped = run(tmp_path / "stopped", False, after(3))
    assert (stopped.rounds, stopped.finished) == (3, False)
    resumed = run(tmp_path / "stopped", True, after(100))
    assert (resumed.rounds, resumed.finished) == (4, True)
    assert_same(whole, resumed)


def test_a_kill_loses_the_rounds_since_the_last_whole_checkpoint_alone(model_folder: Path, tmp_path: Path) -> None:
    run = runs(model_folder, "ppo", small(model_folder, False))
    whole = run(tmp_path / "whole", False, after(100))
    folder = tmp_path / "killed"
    shutil.copytree(tmp_path / "whole", folder)
    shutil.rmtree(folder / "model")
    (folder / "checkpoint-16" / "trainer_state.json").unlink()
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"round": 5, "rew')
    resumed = run(folder, True, after(100))
    assert_same(whole, resumed)


def test_a_finished_run_can_be_asked_for_again(model_folder: Path, tmp_path: Path) -> None:
    run = runs(model_folder, "sft", small(model_folder, False))
    first = run(tmp_path / "run", False, after(100))
    shutil.copytree(first.model, tmp_path / "first")
    again = run(tmp_path / "run", True, after(100))
    assert again.finished
    assert_same(Trained(tmp_path / "first", first.metrics, 4, True), again)


def test_another_run_is_neither_resumed_nor_written_over(model_folder: Path, tmp_path: Path) -> None:
    run = runs(model_folder, "sft", small(model_folder, False))
    run(tmp_path, False, after(1))
    with pytest.raises(NotResumable, match="already"):
        run(tmp_path, False, after(1))
    other = small(model_folder, False).model_copy(update={"seed": 7})
    with pytest.raises(NotResumable, match="another configuration"):
        runs(model_folder, "sft", other)(tmp_path, True, after(1))
    with pytest.raises(NotResumable, match="another configuration"):
        runs(model_folder, "grpo", small(model_folder, False))(tmp_path, True, after(1))
