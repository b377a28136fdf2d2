"""Replies sampled under the schemas that the service holds them to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema_rs
import pytest

from tests.training_engine import toy
from tests.training_engine.test_logo_learning import Story, Written, settings
from training import metrics_log
from training.config import Grpo, Model, Rollout, TrainingConfig, Vllm
from training.engine import Reward, Row, UnfitConfiguration
from training.shared_prefill import generating_by, shared_prefill
from training.trl_adapter import TrlTrainer

# One that is all forced, one with a choice, one whose text has free letters.
SCHEMAS: list[dict[str, Any]] = [
    {"op": {"type": "string", "enum": ["ADD"]}},
    {"op": {"type": "string", "enum": ["ADD", "NOOP"]}},
    {"m": {"type": "string", "maxLength": 3}},
]


def schema(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def rows(schemas: Sequence[dict[str, Any]]) -> list[Row]:
    numbered = enumerate(schemas, start=1)
    return [Row(f"row-{n}", toy.prompt("?" * n + str(n)), reply_schema=schema(one)) for n, one in numbered]


def length(reply: str, row: Row) -> Reward:
    return Reward(float(len(reply)))


def chosen(folder: Path, *, adapter: bool = False, tokens: int = 32, **rollout: Any) -> TrainingConfig:
    return toy.config(
        folder,
        model=Model(name=str(folder), lora=toy.LORA if adapter else None),
        rollout=Rollout(**{"prompts": 3, "replies": 16, "max_reply_tokens": tokens, "constrained": True} | rollout),
        grpo=Grpo(rounds=2, learning_rate=1e-3, micro_batch=8),
    )


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("shared", [False, True], ids=["each-prompt", "prompt-once"])
def test_each_reply_is_held_to_the_schema_of_its_row(
    adapter: bool, shared: bool, model_folder: Path, tmp_path: Path
) -> None:
    task = toy.Toy(rows(SCHEMAS), length)
    trained = TrlTrainer().grpo(chosen(model_folder, adapter=adapter, shared_prefill=shared), task, tmp_path / "run")
    assert len(task.asked) == 96
    for reply, row in task.asked:
        assert jsonschema_rs.is_valid(dict(row.reply_schema or {}), json.loads(reply)), (reply, row)
        assert " " not in reply.partition(":")[0]
    replies = {row.id: {reply for reply, one in task.asked if one.id == row.id} for row in task.rows}
    assert replies["row-1"] == {'{"op":"ADD"}'}
    assert replies["row-2"] == {'{"op":"ADD"}', '{"op":"NOOP"}'}
    assert len(replies["row-3"]) > 2
    # A reply that is closed ends there, and is not counted as cut off.
    assert [line["replies_cut_off"] for line in metrics_log.read(trained.metrics)] == [0.0, 0.0]


def test_a_free_reply_is_none_of_these(model_folder: Path, tmp_path: Path) -> None:
    task = toy.Toy(rows(SCHEMAS), length)
    TrlTrainer().grpo(chosen(model_folder, constrained=False), task, tmp_path / "run")
    assert not any(reply.startswith("{") and reply.endswith("}") for reply, _ in task.asked)


def test_a_reply_that_is_too_long_is_cut_off(model_folder: Path, tmp_path: Path) -> None:
    task = toy.Toy(rows(SCHEMAS[:1]), length)
    trained = TrlTrainer().grpo(chosen(model_folder, tokens=5, prompts=1), task, tmp_path / "run")
    assert {reply for reply, _ in task.asked} == {'{"op"'}
    assert metrics_log.read(trained.metrics)[0]["replies_cut_off"] == 1.0


class HeldStory(Story):
    """Its replies have a schema."""

    async def start(self, place: int, decisions: int, draw: int) -> Any:
        return HeldWritten(place, decisions)

    async def decide(self, position: Written, completion: str) -> Any:
        self.asked.append(completion)
        return HeldWritten(position.place, position.left - 1, (*position.replies, completion))


class HeldWritten(Written):
    @property
    def row(self) -> Row | None:
        if self.left == 0:
            return None
        name, prompt = f"{self.place}/{len(self.replies)}", toy.prompt("?" * len(self.replies))
        return Row(name, prompt, reply_schema=schema(SCHEMAS[len(self.replies) % 2]))


def test_the_decisions_of_a_trajectory_are_held_too(model_folder: Path, tmp_path: Path) -> None:
    story = HeldStory()
    rollout = Rollout(max_reply_tokens=32, constrained=True)
    TrlTrainer().logo(settings(model_folder, rounds=1, rollout=rollout), story, tmp_path / "run")
    assert set(story.asked) == {'{"op":"ADD"}', '{"op":"NOOP"}'}


def test_a_row_without_a_schema_is_refused(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnfitConfiguration, match="no schema holds the replies to row-"):
        TrlTrainer().grpo(chosen(model_folder), toy.Toy(), tmp_path / "run")


@pytest.mark.parametrize("mode", ["adapter", "server", "colocate"])
def test_a_sampler_that_would_not_hold_them_is_refused(mode: Any, model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnfitConfiguration, match="is for the trainer's own model"):
        TrlTrainer().grpo(chosen(model_folder, vllm=Vllm(mode=mode)), toy.Toy(rows(SCHEMAS)), tmp_path / "run")


def test_what_replaces_sampling_is_taken_back_in_its_order() -> None:
    model = SimpleNamespace()
    with generating_by(model, "outer"):
        with shared_prefill(model):
            assert callable(model.generate)
        assert model.generate == "outer"
    assert not hasattr(model, "generate")
