"""Configurations, metrics, curves: what a run reads and writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.training_engine import toy
from training import config, metrics_log, plots
from training.config import Grpo, Log
from training.metrics_log import MetricsLog
from training.trl_adapter import TrlTrainer


@pytest.mark.parametrize("path", sorted(config.CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_configuration_loads(path: Path) -> None:
    loaded = config.load(path)
    assert loaded.grpo and loaded.ppo and loaded.sft


def test_a_configuration_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[grpo]\nrounds = 1\nlearning_rate = 1e-5\nlerning_rate = 1e-5\n", encoding="utf-8")
    with pytest.raises(ValidationError, match=r"grpo\.lerning_rate"):
        config.load(file)


def test_a_configuration_refuses_batches_that_do_not_divide() -> None:
    with pytest.raises(ValidationError, match="64 replies a round do not divide"):
        config.TrainingConfig(grpo=Grpo(rounds=1, learning_rate=1e-5, micro_batch=3))


def test_the_papers_numbers() -> None:
    paper = config.load(config.CONFIGS / "paper_4gpu.toml")
    assert paper.grpo and paper.ppo
    assert paper.rollout.size == 128
    assert (paper.rollout.max_prompt_tokens, paper.rollout.max_reply_tokens) == (4096, 2048)
    assert (paper.ppo.learning_rate, paper.ppo.critic_learning_rate) == (1e-6, 1e-5)
    assert paper.ppo.micro_batch == paper.grpo.micro_batch == 2
    assert paper.model.lora is None and paper.rollout.temperature == 1


def test_metrics_after_a_checkpoint_are_taken_back(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, after_round=0, tensorboard=False)
    for number in (1, 2, 3):
        log.write(number, {"reward": number / 10, "kl": float("nan")})
    with log.path.open("a", encoding="utf-8") as file:
        file.write('{"round": 4, "re')
    resumed = MetricsLog(tmp_path, after_round=2, tensorboard=False)
    resumed.write(3, {"reward": 9.0})
    assert metrics_log.read(log.path) == [
        {"round": 1, "reward": 0.1, "kl": None},
        {"round": 2, "reward": 0.2, "kl": None},
        {"round": 3, "reward": 9.0},
    ]


def test_curves_are_drawn_of_what_is_there(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, after_round=0, tensorboard=False)
    for number in range(1, 15):
        log.write(number, {"reward": number / 10, "terms/validity": 0.5, "loss": None})
    drawn = plots.draw(log.path, tmp_path / "plots")
    assert [path.name for path in drawn] == ["reward.png", "terms.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_a_run_shows_itself(model_folder: Path, tmp_path: Path) -> None:
    grpo = Grpo(rounds=2, learning_rate=1e-3, micro_batch=16)
    settings = toy.config(model_folder, grpo=grpo, log=Log(progress=False))
    trained = TrlTrainer().grpo(settings, toy.Toy(), tmp_path)
    names = set(metrics_log.read(trained.metrics)[0])
    assert names >= {"reward", "terms/length", "groups_without_variance", "entropy", "clipped", "seconds"}
    assert not any("completions" in name or "frac_" in name for name in names)
    assert {path.name for path in (tmp_path / "plots").iterdir()} >= {"reward.png", "groups.png", "loss.png"}
    assert list((tmp_path / "tensorboard").iterdir())
    text = (tmp_path / "samples" / "round_00001.txt").read_text(encoding="utf-8")
    assert text.startswith("Round 1\n") and text.count("--- reward") == 16
