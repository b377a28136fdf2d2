"""What verl is given: rows, a reward, an agent loop, settings. Where verl is installed, its own code reads them too."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from pyarrow import parquet
from pydantic import ValidationError

from tests.training_engine import toy
from training import advantages, config, metrics_log, verl_adapter
from training.config import Grpo, Logo, Lora, Model, Policy, Ppo, Rollout, TrainingConfig, Verl
from training.engine import Reward, Row, UnfitConfiguration
from training.verl_adapter import NotScored, TaskSource, VerlTrainer, command, compute_score
from training.verl_settings import overrides

WITHOUT_VERL = "verl is not installed; it has an environment of its own (requirements-verl.txt)"


NOTE = "it's {a: 'b'} \\ \n, \"c\"=d"


@dataclass
class Fake:
    """Worth the length of a reply; nothing where it is empty."""

    rows: Sequence[Row] = field(default_factory=lambda: toy.rows(5))

    async def reward(self, completion: str, row: Row) -> Reward | None:
        await asyncio.sleep(0)
        return Reward(float(len(completion)), {"n": row.columns["n"]}) if completion else None


def task(rows: int = 5, note: str = NOTE) -> Fake:
    assert note == NOTE
    return Fake(toy.rows(rows))


@dataclass(frozen=True)
class Counting:
    """Counts down; the prompt says how far."""

    left: int
    said: tuple[str, ...] = ()
    scored_alone: bool = False

    @property
    def row(self) -> Row | None:
        return Row(f"left-{self.left}", toy.prompt("?" * (1000 if self.left == 7 else 1))) if self.left else None


class Countdown:
    starts = ("a", "b", "c")

    async def start(self, place: int, decisions: int, draw: int) -> Counting:
        return Counting(decisions)

    async def decide(self, position: Counting, completion: str) -> Counting:
        return Counting(position.left - 1, (*position.said, completion))

    async def reward_at_end(self, position: Counting) -> Reward | None:
        return Reward(float(len(position.said)), {"said": 1.0}) if position.said[-1] else None

    async def local_reward(self, before: Counting, after: Counting) -> Reward | None:
        return None


def countdown() -> Countdown:
    return Countdown()


SOURCE = TaskSource(f"{__name__}:task", {"rows": 5})


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.build(tmp_path_factory.mktemp("toy-model"))


def settings(folder: Path | str, **sections: Any) -> TrainingConfig:
    usual: dict[str, Any] = {
        "model": Model(name=str(folder), lora=Lora(rank=8, modules=("q_proj", "v_proj"))),
        "rollout": Rollout(prompts=4, replies=4, max_prompt_tokens=80, max_reply_tokens=8),
        "verl": Verl(nodes=1, gpus_per_node=2),
        "grpo": Grpo(rounds=3, learning_rate=1e-5, micro_batch=2, minibatches=2, kl=0.01, clip_high=0.28),
        "ppo": Ppo(rounds=3, learning_rate=1e-5, critic_learning_rate=1e-4, micro_batch=2, gae_lambda=0.95),
    }
    return TrainingConfig(**usual | sections)


# Rows


def test_rows_come_in_their_order_and_without_marks(model_folder: Path, tmp_path: Path) -> None:
    fake = Fake([*toy.rows(5), Row("sly", toy.prompt("<|im_end|>x"), columns={"n": 0})])
    chosen = settings(model_folder)
    assert chosen.grpo
    verl_adapter.write_rows(tmp_path / "rows.parquet", fake, chosen, chosen.grpo)
    lines = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert len(lines) == 12
    assert sorted(line["extra_info"]["index"] for line in lines) == sorted([*range(6)] * 2)
    for line in lines:
        row = fake.rows[line["extra_info"]["index"]]
        assert line["extra_info"]["id"] == row.id and line["agent_name"] == "single_turn_agent"
        assert line["prompt"][1]["content"] == row.prompt[1].content.replace("<|im_end|>", "")
        assert line["reward_model"]["ground_truth"] == (row.target or "")


def test_rows_that_verl_would_cut_or_could_not_render_are_refused(model_folder: Path, tmp_path: Path) -> None:
    chosen, path = settings(model_folder), tmp_path / "rows.parquet"
    assert chosen.grpo
    long = Fake([*toy.rows(2), Row("long", toy.prompt("1" * 100))])
    with pytest.raises(UnfitConfiguration, match="1 of 3 rows have more than 80 tokens"):
        verl_adapter.write_rows(path, long, chosen, chosen.grpo)
    leaving = chosen.model_copy(update={"rollout": chosen.rollout.model_copy(update={"long_prompts": "leave out"})})
    verl_adapter.write_rows(path, long, leaving, chosen.grpo)
    assert {line["extra_info"]["index"] for line in parquet.read_table(path).to_pylist()} == {0, 1}
    with pytest.raises(UnfitConfiguration, match="text is rendered already"):
        verl_adapter.write_rows(path, Fake([Row("text", "plain")]), chosen, chosen.grpo)


def test_trajectories_get_their_lengths_and_draws(model_folder: Path, tmp_path: Path) -> None:
    logo = Logo(rounds=9, learning_rate=1e-5, rows=8, lengths=(2, 5))
    chosen = settings(model_folder, logo=logo)
    assert chosen.grpo
    verl_adapter.write_rows(tmp_path / "rows.parquet", countdown(), chosen, chosen.grpo)
    lines = [line["extra_info"] for line in parquet.read_table(tmp_path / "rows.parquet").to_pylist()]
    assert [line["decisions"] for line in lines] == [2] * 8 + [5] * 4
    assert len({line["draw"] for line in lines}) == 12
    with pytest.raises(UnfitConfiguration, match="section logo"):
        verl_adapter.write_rows(tmp_path / "rows.parquet", countdown(), settings(model_folder), chosen.grpo)


# Reward


def scores(reply: str, index: int, name: str) -> dict[str, float]:
    extra = {"index": index, "id": name, "num_turns": 2}
    return asyncio.run(
        compute_score(
            data_source="memory-r1",
            solution_str=reply,
            ground_truth="",
            extra_info=extra,
            function=SOURCE.function,
            arguments=SOURCE.packed,
            reward_router_address=None,
        )
    )


def test_a_reply_is_scored_by_the_task_that_the_process_built() -> None:
    assert scores("four", 3, "row-3") == {"score": 4.0, "terms/n": 3.0}
    assert verl_adapter.built(SOURCE.function, SOURCE.packed) is verl_adapter.built(SOURCE.function, SOURCE.packed)


def test_what_could_not_be_scored_is_no_zero() -> None:
    with pytest.raises(NotScored, match="row-3"):
        scores("", 3, "row-3")
    for index, name in ((3, "row-2"), (9, "row-9")):
        with pytest.raises(ValueError, match="other rows than the run"):
            scores("four", index, name)
    with pytest.raises(ValueError, match="no finite number: terms/a"):
        verl_adapter.scored(Reward(1.0, {"a": float("nan")}), "x")


# Settings


def test_the_configuration_in_verls_terms(model_folder: Path, tmp_path: Path) -> None:
    chosen = settings(model_folder)
    assert chosen.grpo and chosen.ppo
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    grpo = overrides(chosen, chosen.grpo, tmp_path, resume=False)
    assert grpo[f"{actor}.ppo_mini_batch_size"] == 2 and grpo["data.train_batch_size"] == 4
    assert (grpo[f"{actor}.clip_ratio_low"], grpo[f"{actor}.clip_ratio_high"]) == (0.2, 0.28)
    assert (grpo[f"{actor}.use_kl_loss"], grpo[f"{actor}.kl_loss_coef"]) == (True, 0.01)
    assert (grpo["algorithm.adv_estimator"], grpo["algorithm.norm_adv_by_std_in_grpo"]) == ("grpo", True)
    assert grpo[f"{rollout}.load_format"] == "safetensors"
    assert grpo["actor_rollout_ref.model.target_modules"] == ("q_proj", "v_proj")
    assert not any(name.startswith("critic") for name in grpo)
    ppo = overrides(chosen, chosen.ppo, tmp_path, resume=True)
    assert (ppo["algorithm.adv_estimator"], ppo["algorithm.lam"]) == ("gae", 0.95)
    assert (ppo["critic.optim.lr"], ppo[f"{actor}.optim.lr"]) == (1e-4, 1e-5)
    assert ppo["critic.cliprange_value"] == 0.2 and ppo["critic.model.lora_rank"] == 8
    assert (ppo["trainer.resume_mode"], grpo["trainer.resume_mode"]) == ("auto", "disable")
    whole = overrides(settings("big", model=Model(name="big")), chosen.grpo, tmp_path, resume=False)
    assert f"{rollout}.load_format" not in whole and "actor_rollout_ref.model.lora_rank" not in whole


def test_the_multi_node_configuration_gives_a_command(tmp_path: Path) -> None:
    chosen = config.load(config.CONFIGS / "multi_node.toml")
    assert chosen.grpo and chosen.ppo
    words = command(chosen, chosen.ppo, SOURCE, tmp_path / "run", resume=False)
    assert words[1:3] == ["-m", "verl.trainer.main_ppo"]
    said = dict(word.split("=", 1) for word in words[3:])
    assert (said["trainer.nnodes"], said["trainer.n_gpus_per_node"]) == ("2", "8")
    assert said["data.train_files"] == f"[{tmp_path}/run/rows.parquet]"
    assert said["reward.custom_reward_function.path"] == "'pkg://training.verl_adapter'"
    assert said["+reward.custom_reward_function.reward_kwargs.arguments"] == "'{\"rows\": 5}'"
    assert said["trainer.val_before_train"] == "false"
    text = verl_adapter.dry_run(chosen, chosen.grpo, SOURCE, tmp_path / "run")
    assert "    actor_rollout_ref.rollout.name=vllm \\\n" in text


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"grpo": Grpo(rounds=1, learning_rate=1e-5, loss="bnpo")}, "the loss bnpo"),
        ({"grpo": Grpo(rounds=1, learning_rate=1e-5, scale="batch")}, "scale = batch"),
        ({"grpo": Grpo(rounds=1, learning_rate=1e-5, leave_out_cut_off=True)}, "leave_out_cut_off"),
        ({"grpo": Logo(rounds=1, learning_rate=1e-5, rows=8)}, "LoGo-GRPO"),
        ({"grpo": Ppo(rounds=1, learning_rate=1e-5, critic_learning_rate=1e-5, whiten=False)}, "whitened"),
        ({"model": Model(name="packaged")}, "the packaged model"),
        ({"rollout": Rollout(constrained=True)}, "constrained replies"),
        ({"model": Model(name="m", lora=Lora(dropout=0.1))}, "dropout"),
        ({"verl": Verl(gpus_per_node=3)}, "do not divide"),
        ({"verl": None}, "no section verl"),
    ],
)
def test_what_verl_has_no_setting_for_is_refused(changed: dict[str, Any], fault: str, tmp_path: Path) -> None:
    method: Policy = changed.pop("grpo", Grpo(rounds=1, learning_rate=1e-5))
    with pytest.raises(UnfitConfiguration, match=fault):
        overrides(settings("m", **changed), method, tmp_path, resume=False)


def test_several_nodes_need_a_cluster_to_join() -> None:
    with pytest.raises(ValidationError, match="ray_address"):
        Verl(nodes=2)
    with pytest.raises(ValidationError, match="8 GPUs do not divide into samplers of 3"):
        Verl(tensor_parallel=3)


# Running


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_verl_or_a_gpu_nothing_is_begun(model_folder: Path, tmp_path: Path) -> None:
    trainer, out = VerlTrainer(SOURCE), tmp_path / "run"
    with pytest.raises(UnfitConfiguration, match=r"verl is not installed|needs a GPU"):
        trainer.grpo(settings(model_folder), task(), out)
    with pytest.raises(UnfitConfiguration, match="no section ppo"):
        trainer.ppo(settings(model_folder, ppo=None), task(), out)
    with pytest.raises(UnfitConfiguration, match="use grpo"):
        trainer.ppo(settings(model_folder), countdown(), out)  # type: ignore[arg-type]
    assert not out.exists()


def fake_run(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> list[int]:
    """In place of verl's program, and of its merger, a script; the rounds whose checkpoints are merged."""
    merges: list[int] = []

    def merging(out_dir: Path, rounds: int) -> list[str]:
        merges.append(rounds)
        return [sys.executable, "-V"]

    monkeypatch.setattr(verl_adapter, "refuse_what_cannot_run", lambda config: None)
    monkeypatch.setattr(verl_adapter, "command", lambda *_, **__: [sys.executable, "-c", script, str(folder)])
    monkeypatch.setattr(verl_adapter, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(verl_adapter, "merging", merging)
    return merges


CHECKPOINT = """
import json, pathlib, sys
out = pathlib.Path(sys.argv[1]); (out / "checkpoints").mkdir(exist_ok=True)
(out / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("{rounds}")
with (out / "verl-00{part}.jsonl").open("w") as file:
    for step in range({first}, {rounds} + 1):
        data = {{"critic/rewards/mean": step / 10, "actor/lr": 1e-5, "perf/mfu": 1.0}}
        file.write(json.dumps({{"step": step, "data": data}}) + "\\n")
"""


def test_a_run_leaves_its_rows_metrics_and_model(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, chosen = tmp_path / "run", settings(model_folder)
    merges = fake_run(out, monkeypatch, CHECKPOINT.format(rounds=2, part=1, first=1))
    trained = VerlTrainer(SOURCE).grpo(chosen, task(), out)
    assert (trained.rounds, trained.finished, merges) == (2, False, [2])
    assert {path.name for path in out.iterdir()} >= {"config.json", "rows.parquet", "agent_loops.yaml"}
    fake_run(out, monkeypatch, CHECKPOINT.format(rounds=3, part=2, first=2))
    trained = VerlTrainer(SOURCE).grpo(chosen, task(), out, resume=True)
    assert (trained.rounds, trained.finished) == (3, True)
    assert metrics_log.read(trained.metrics) == [
        {"round": n, "reward": n / 10, "learning_rate": 1e-5} for n in (1, 2, 3)
    ]


def test_a_run_that_fails_or_is_stopped(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    fake_run(out, monkeypatch, "raise SystemExit(3)")
    with pytest.raises(verl_adapter.VerlFailed, match="status 3"):
        VerlTrainer(SOURCE).grpo(settings(model_folder), task(), out)
    fake_run(out, monkeypatch, "import time; time.sleep(600)")
    trained = VerlTrainer(SOURCE).grpo(settings(model_folder), task(), out, resume=True, stop=lambda: True)
    assert (trained.rounds, trained.finished) == (0, False)


# The agent loop


class Server:
    """Says a letter more each time it is asked."""

    def __init__(self, *replies: str) -> None:
        self.replies, self.prompts = list(replies), list[list[int]]()

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> Any:
        self.prompts.append(prompt_ids)
        ids = [ord(letter) for letter in self.replies.pop(0)]
        return types.SimpleNamespace(
            token_ids=ids, log_probs=[-0.5] * len(ids), extra_fields={"max_global_steps": 4, "min_global_steps": 4}
        )


class Letters:
    """A tokenizer in which a letter is a token."""

    all_special_tokens: Sequence[str] = ()

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        return "".join(map(chr, ids))

    def apply_chat_template(self, chat: list[dict[str, str]], **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for message in chat for letter in message["content"]]}


@dataclass
class Output:
    """In place of verl's."""

    prompt_ids: list[int]
    response_ids: list[int]
    response_mask: list[int]
    response_logprobs: list[float] | None
    num_turns: int
    metrics: Any
    extra_fields: dict[str, Any]
    reward_score: float | None = None


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Our module on verl's base, or on one in its place where it is not installed."""
    if not importlib.util.find_spec("verl"):
        names = ["verl", "verl.experimental", "verl.experimental.agent_loop", "verl.experimental.agent_loop.agent_loop"]
        for name in names:
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        base: Any = sys.modules[names[-1]]
        base.AgentLoopBase, base.AgentLoopOutput, base.AgentLoopMetrics = Base, Output, dict
    yield importlib.import_module("training.verl_agent_loop")
    sys.modules.pop("training.verl_agent_loop", None)


class Base:
    def __init__(self, **options: Any) -> None:
        vars(self).update(options)


def play(loops: Any, decisions: int, *replies: str) -> tuple[list[Any], Server]:
    server = Server(*replies)
    loop = loops.TrajectoryLoop.__new__(loops.TrajectoryLoop)
    vars(loop).update(
        _task=countdown(),
        server_manager=server,
        tokenizer=Letters(),
        rollout_config=types.SimpleNamespace(prompt_length=50, response_length=3),
    )
    row = {"extra_info": {"index": 1, "id": "b", "decisions": decisions, "draw": 3}, "raw_prompt": [], "uid": "u"}
    return asyncio.run(loop.run({"temperature": 1.0}, **row)), server


def test_each_decision_is_a_sample_and_the_last_has_the_reward(loops: Any) -> None:
    outputs, server = play(loops, 3, "a", "bcdef", "g")
    assert ["".join(map(chr, one.response_ids)) for one in outputs] == ["a", "bcd", "g"]
    assert [one.response_mask for one in outputs] == [[1], [1, 1, 1], [1]]
    assert [one.response_logprobs for one in outputs] == [[-0.5], [-0.5] * 3, [-0.5]]
    assert [one.prompt_ids for one in outputs] == server.prompts
    assert [one.reward_score for one in outputs] == [None, None, 3.0]
    assert outputs[-1].extra_fields["reward_extra_info"] == {"score": 3.0, "terms/said": 1.0}
    assert all(one.extra_fields["max_global_steps"] == 4 for one in outputs)


def test_a_trajectory_without_a_reward_or_a_prompt_that_fits(loops: Any) -> None:
    with pytest.raises(NotScored):
        play(loops, 1, "")
    outputs, _ = play(loops, 8, "a", "b")
    assert [one.reward_score for one in outputs] == [1.0]
    with pytest.raises(UnfitConfiguration, match="first prompt of b is too long"):
        play(loops, 7)


# Against verl's own code


def test_advantages_are_those_of_verl() -> None:
    """What verl 0.9.1 gives for these; `test_verl_gives_the_values_kept_here` computes them anew."""
    gains, returns = ours()
    torch.testing.assert_close(gains, torch.tensor(GAINS), atol=1e-5, rtol=0)
    torch.testing.assert_close(returns, torch.tensor(RETURNS), atol=1e-5, rtol=0)
    groups = SCORES[GROUPS]
    plain = advantages.group_relative(groups, scale=False)
    torch.testing.assert_close(plain, torch.tensor(PLAIN)[GROUPS], atol=1e-5, rtol=0)
    # It adds 1e-6 to the deviation, and TRL, as we do, 1e-4.
    scaled = advantages.group_relative(groups, scale=True)
    torch.testing.assert_close(scaled, torch.tensor(SCALED)[GROUPS], atol=0, rtol=1e-3)
    losses = advantages.value_losses(VALUES_NOW, torch.zeros(3), torch.ones(3), 0.2)
    assert losses.mean().item() == pytest.approx(0.8433333)


MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])
VALUES = torch.tensor([[0.5, 0.25, 1.0, -0.5], [0.2, 0.4, 9.0, 9.0], [-0.3, 0.1, 0.6, 9.0]])
VALUES_NOW = torch.tensor([0.1, 0.9, -0.9])
GAINS = [
    [-0.00037628, 0.51913363, -0.57840282, 2.00229883],
    [-0.81608039, -1.37300563, 0.0, 0.0],
    [0.66629702, 0.17963433, -0.59949845, 0.0],
]
RETURNS = [[0.57600403, 0.6954, 0.665, 1.0], [-0.304, -0.5, 0.0, 0.0], [0.25004, 0.304, 0.25, 0.0]]
SCORES = torch.tensor([1.0, 0.0, 0.2, 0.9, 0.4, 0.25])
GROUPS = torch.tensor([[0, 1, 5], [2, 3, 4]])
PLAIN = [0.58333337, -0.41666666, -0.3, 0.4, -0.1, -0.16666666]
SCALED = [1.12089503, -0.80063921, -0.8320479, 1.10939729, -0.27734932, -0.32025567]


def rewards() -> torch.Tensor:
    return advantages.rewards_at_the_end(torch.tensor([1.0, -0.5, 0.25]), MASK.bool())


def ours() -> tuple[torch.Tensor, torch.Tensor]:
    gains, returns = advantages.gae(rewards(), VALUES, MASK.bool(), 0.95, 0.8)
    return advantages.whitened(gains, MASK.bool()), returns


@pytest.mark.filterwarnings("ignore")
def test_verl_gives_the_values_kept_here() -> None:
    core = pytest.importorskip("verl.trainer.ppo.core_algos", reason=WITHOUT_VERL)
    gains, returns = core.compute_gae_advantage_return(rewards(), VALUES, MASK, 0.95, 0.8)
    torch.testing.assert_close(gains * MASK, torch.tensor(GAINS), atol=1e-6, rtol=0)
    torch.testing.assert_close(returns * MASK, torch.tensor(RETURNS), atol=1e-6, rtol=0)
    index = torch.tensor([0, 0, 1, 1, 1, 0]).numpy()
    for scale, kept in ((False, PLAIN), (True, SCALED)):
        given = torch.stack([torch.zeros(6), SCORES], dim=1)
        made, _ = core.compute_grpo_outcome_advantage(given, torch.ones(6, 2), index, norm_adv_by_std_in_grpo=scale)
        torch.testing.assert_close(made[:, 0], torch.tensor(kept), atol=1e-6, rtol=0)
    loss, _ = core.compute_value_loss(VALUES_NOW[None], torch.ones(1, 3), torch.zeros(1, 3), torch.ones(1, 3), 0.2)
    assert loss.item() == pytest.approx(0.8433333)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["grpo", "ppo"])
def test_verls_own_configuration_knows_every_setting(name: str, model_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("verl", reason=WITHOUT_VERL)
    from hydra import compose, initialize_config_module
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from verl.experimental.agent_loop.agent_loop import DictConfigWrap
    from verl.trainer.ppo.reward import get_custom_reward_fn
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config
    from verl.utils.dataset.rl_dataset import RLHFDataset

    chosen, source = settings(model_folder), TaskSource(SOURCE.function, {"rows": 5, "note": NOTE})
    method = getattr(chosen, name)
    verl_adapter.write_rows(tmp_path / verl_adapter.ROWS, task(), chosen, method)
    verl_adapter.write_loops(tmp_path / verl_adapter.LOOPS, TaskSource(f"{__name__}:countdown"))
    words = command(chosen, method, source, tmp_path, resume=True)
    with initialize_config_module("verl.trainer.config", version_base=None):
        composed = compose("ppo_trainer", overrides=words[3:])
    assert need_critic(composed) == (name == "ppo") and need_reference_policy(composed) == (name == "grpo")
    # Its check of an adapter's rank asks vLLM, which is not there without a GPU.
    composed.actor_rollout_ref.model.lora_rank = 0
    validate_config(composed, need_reference_policy(composed), need_critic(composed))
    score = get_custom_reward_fn(composed)
    extra = {"index": 1, "id": "row-1"}
    given = score(data_source="m", solution_str="four", ground_truth="", extra_info=extra)
    assert asyncio.run(given) == {"score": 4.0, "terms/n": 1.0}
    from transformers import AutoTokenizer

    data = RLHFDataset(composed.data.train_files, AutoTokenizer.from_pretrained(model_folder), composed.data)
    assert len(data) == 12 and data[0]["raw_prompt"][0] == {"role": "system", "content": "Write."}
    (loop,) = OmegaConf.load(composed.actor_rollout_ref.rollout.agent.agent_loop_config_path)
    made = instantiate(
        loop,
        trainer_config=DictConfigWrap(composed),
        server_manager=None,
        tokenizer=AutoTokenizer.from_pretrained(model_folder),
        processor=None,
        dataset_cls=RLHFDataset,
        data_config=DictConfigWrap(composed.data),
        hf_model_type="qwen2",
    )
    assert made._task.starts == ("a", "b", "c")
