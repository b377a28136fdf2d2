"""Real training of a toy: reward and loss move by more than chance gives."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.training_engine import toy
from training import metrics_log
from training.config import Grpo, Log, Model, Sft
from training.engine import Reward, Row, Trained
from training.models import prompt_tokens
from training.trl_adapter import TrlTrainer


def rewards(trained: Trained) -> list[float]:
    return [line["reward"] or 0.0 for line in metrics_log.read(trained.metrics)]


def rises(values: list[float]) -> bool:
    """By half of the scale: by chance the means of three rounds differ by less than a tenth of it."""
    return fmean(values[-3:]) > fmean(values[:3]) + 0.5


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
def test_grpo_raises_the_reward(adapter: bool, model_folder: Path, tmp_path: Path) -> None:
    model = Model(name=str(model_folder), lora=toy.LORA if adapter else None)
    trained = TrlTrainer().grpo(toy.config(model_folder, model=model), toy.Toy(), tmp_path / "run")
    assert trained.finished and trained.rounds == 12
    assert rises(rewards(trained))
    assert (trained.model / "adapter_model.safetensors").exists() == adapter
    assert not (trained.model / "training_args.bin").exists()


@pytest.mark.parametrize(("adapter", "seed"), [(False, 0), (True, 1)], ids=["full", "lora"])
def test_ppo_raises_the_reward(adapter: bool, seed: int, model_folder: Path, tmp_path: Path) -> None:
    model = Model(name=str(model_folder), lora=toy.LORA if adapter else None)
    trained = TrlTrainer().ppo(toy.config(model_folder, model=model, seed=seed), toy.Toy(), tmp_path / "run")
    assert rises(rewards(trained))
    losses = [line["value_loss"] or 0.0 for line in metrics_log.read(trained.metrics)]
    assert max(losses) < 1


def test_sft_learns_the_target_and_where_it_ends(model_folder: Path, tmp_path: Path) -> None:
    task = toy.Toy()
    trained = TrlTrainer().sft(toy.config(model_folder), task, tmp_path / "run")
    losses = [line["loss"] or 0.0 for line in metrics_log.read(trained.metrics)]
    assert losses[-1] < losses[0] / 20
    assert {greedy(trained.model, row) for row in task.rows} == {"yes<|im_end|>"}
    assert task.asked == []


def test_rl_goes_on_from_the_adapter_of_a_warm_start(model_folder: Path, tmp_path: Path) -> None:
    sizes = Model(name=str(model_folder), lora=toy.LORA)
    sft = Sft(rounds=30, learning_rate=2e-2, batch=4, micro_batch=4)
    warm = TrlTrainer().sft(toy.config(model_folder, model=sizes, sft=sft), toy.Toy(), tmp_path / "sft")
    model = Model(name=str(model_folder), start_adapter=warm.model)
    grpo = Grpo(rounds=1, learning_rate=1e-4, micro_batch=16, kl=0.05)
    task = toy.Toy()
    trained = TrlTrainer().grpo(toy.config(model_folder, model=model, grpo=grpo), task, tmp_path / "grpo")
    assert sum(reply == "yes" for reply, _ in task.asked) > 8
    (line,) = metrics_log.read(trained.metrics)
    assert line["kl"] == pytest.approx(0, abs=1e-4)


def test_the_divergence_is_measured_from_the_model_at_the_start(model_folder: Path, tmp_path: Path) -> None:
    grpo = Grpo(rounds=3, learning_rate=1e-2, micro_batch=16, kl=0.01)
    trained = TrlTrainer().grpo(toy.config(model_folder, grpo=grpo), toy.Toy(), tmp_path / "run")
    divergences = [line["kl"] or 0.0 for line in metrics_log.read(trained.metrics)]
    assert divergences[0] == pytest.approx(0, abs=1e-4)
    assert divergences[-1] > 0.01


def test_what_cannot_be_scored_is_left_out_and_groups_without_variance_are_counted(
    model_folder: Path, tmp_path: Path
) -> None:
    def score(reply: str, row: Row) -> Reward | None:
        if row.columns["n"] == 0:
            return Reward(0.5)
        return None if reply[:1] < "a" else Reward(1.0 if "a" <= reply[:1] <= "z" else 0.0, {"first": 1.0})

    task = toy.Toy(toy.rows(2), score)
    grpo = Grpo(rounds=1, learning_rate=1e-4, micro_batch=16, scale="none")
    log = Log(progress=False, tensorboard=False, plots=False, samples=2)
    trained = TrlTrainer().grpo(toy.config(model_folder, grpo=grpo, log=log), task, tmp_path / "run")
    (line,) = metrics_log.read(trained.metrics)
    worths = [score(reply, row) for reply, row in task.asked]
    known = [one.total for one in worths if one]
    assert 8 < len(known) < 16
    assert line["replies_not_scored"] == 16 - len(known)
    assert line["reward"] == pytest.approx(fmean(known))
    assert (line["groups"], line["groups_without_variance"], line["groups_not_scored"]) == (2, 1, 0)
    assert line["terms/first"] == 1
    text = (tmp_path / "run" / "samples" / "round_00001.txt").read_text(encoding="utf-8")
    assert text.count("not scored") == 16 - len(known)
    assert text.count("advantage") == len(known)


def greedy(folder: Path, row: Row) -> str:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.tensor([prompt_tokens(tokenizer, row)])
    reply = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
    return str(tokenizer.decode(reply[0, ids.shape[1] :]))
