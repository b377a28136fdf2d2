"""Sampling by a vLLM that is given the adapter anew before each round."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2ForCausalLM

from tests.fixtures.model_servers import ModelServer, free_port
from tests.training_engine import test_logo_learning, toy
from tests.training_engine.sampling_server import SamplingServer
from tests.training_engine.test_resuming import after, assert_same
from training import metrics_log
from training.config import Checkpoints, Grpo, Logo, Lora, Model, Ppo, Rollout, TrainingConfig, Vllm
from training.engine import Trained, TrainingError, UnfitConfiguration
from training.trl_adapter import TrlTrainer
from training.trl_vllm_adapter import Sampled, VllmServer

ROUNDS = 3


@pytest.fixture
def server(model_folder: Path) -> Iterator[SamplingServer]:
    server = SamplingServer(model_folder)
    server.start()
    yield server
    server.stop()


def settings(server: SamplingServer, **sections: Any) -> TrainingConfig:
    vllm = Vllm(mode="adapter", url=server.base_url, correction="token_truncate", timeout_seconds=60)
    usual: dict[str, Any] = {
        "model": Model(name=str(server.base), lora=toy.LORA),
        "rollout": Rollout(prompts=2, replies=4, max_reply_tokens=toy.REPLY_TOKENS, temperature=0.7, vllm=vllm),
        "grpo": Grpo(rounds=ROUNDS, learning_rate=1e-2, micro_batch=8),
        "ppo": Ppo(rounds=ROUNDS, learning_rate=1e-2, critic_learning_rate=1e-2, micro_batch=8),
        "logo": Logo(rounds=ROUNDS, trajectories=4, rows=8, lengths=(2,), learning_rate=1e-2, micro_batch=8),
        "checkpoints": Checkpoints(every=1, keep=ROUNDS),
    }
    return toy.config(server.base, **(usual | sections))


def learn(config: TrainingConfig, out: Path, method: str = "grpo", **options: Any) -> Trained:
    task = test_logo_learning.Story() if method == "logo" else toy.Toy()
    trained: Trained = getattr(TrlTrainer(), method)(config, task, out, **options)
    return trained


def measured(trained: Trained, name: str) -> list[float]:
    return [line[name] or 0.0 for line in metrics_log.read(trained.metrics)]


def changed(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("method", ["grpo", "ppo", "logo"])
def test_each_round_is_sampled_by_the_adapter_as_it_then_is(
    method: str, server: SamplingServer, tmp_path: Path
) -> None:
    trained = learn(settings(server), tmp_path / "run", method)
    assert trained.finished
    probed, *given = server.given
    assert len(given) == ROUNDS
    assert not changed(probed, given[0])
    assert all(changed(*pair) for pair in pairwise(given))
    # Another adapter, or log-probabilities beside other tokens, would be far off.
    assert max(measured(trained, "sampler_difference")) < 1e-5
    assert measured(trained, "sampler_ratio") == pytest.approx([1.0] * ROUNDS, abs=1e-5)
    assert len({asked["seed"] for asked in server.asked}) == len(server.asked)
    # Nothing of the run is left behind.
    assert server.adapters == {}
    assert not (tmp_path / "run" / "sampler").exists()


def test_a_request_says_all_that_the_server_could_choose(server: SamplingServer, tmp_path: Path) -> None:
    learn(settings(server), tmp_path / "run")
    asked = server.asked[-1]
    assert (asked["n"], asked["max_tokens"], asked["temperature"], asked["top_p"]) == (4, toy.REPLY_TOKENS, 0.7, 1.0)
    assert (asked["top_k"], asked["repetition_penalty"], asked["stop_token_ids"]) == (0, 1.0, [0])
    # It would mask the end mark, and make the log-probabilities other than the trainer's.
    assert "min_tokens" not in asked


def test_log_probabilities_of_the_server_are_corrected_for(server: SamplingServer, tmp_path: Path) -> None:
    server.skew = 0.1
    trained = learn(settings(server), tmp_path / "run")
    assert measured(trained, "sampler_ratio") == pytest.approx([math.exp(-0.1)] * ROUNDS, abs=1e-4)


def test_a_resumed_run_asks_for_the_same_draws(server: SamplingServer, tmp_path: Path) -> None:
    whole = learn(settings(server), tmp_path / "whole")
    seeds = [asked["seed"] for asked in server.asked[1:]]
    server.asked.clear()
    assert not learn(settings(server), tmp_path / "parts", stop=after(2)).finished
    resumed = learn(settings(server), tmp_path / "parts", resume=True)
    # Requests of a round come in any order.
    assert {asked["seed"] for asked in server.asked if not asked.get("ignore_eos")} == set(seeds)
    assert_same(whole, resumed)


def no_runtime_loading(server: SamplingServer) -> None:
    server.adapters = None


def raw_log_probabilities(server: SamplingServer) -> None:
    server.processed = False


def small_ranks_alone(server: SamplingServer) -> None:
    server.max_rank = 4


def little_room(server: SamplingServer) -> None:
    server.max_context = 4100


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_runtime_loading, "does not load adapters: start it with --enable-lora.*RUNTIME_LORA_UPDATING=True"),
        (raw_log_probabilities, "raw log-probabilities: start it with .*--logprobs-mode processed_logprobs"),
        (small_ranks_alone, "status 500: LoRA rank 8 is greater than max_lora_rank 4"),
        (little_room, "takes 4100 tokens; prompt and reply may have 4104"),
    ],
)
def test_a_server_that_was_started_otherwise_is_refused(
    spoil: Callable[[SamplingServer], None], message: str, server: SamplingServer, tmp_path: Path
) -> None:
    spoil(server)
    with pytest.raises(UnfitConfiguration, match=message) as refused:
        learn(settings(server), tmp_path / "run")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run" / "sampler").exists()


def test_another_base_is_refused(server: SamplingServer, tmp_path: Path) -> None:
    # The same form, other weights.
    torch.manual_seed(1)
    weights = Qwen2ForCausalLM.from_pretrained(server.base)
    with torch.no_grad():
        weights.lm_head.weight.normal_()
    weights.save_pretrained(tmp_path / "other")
    config = settings(server)
    server.base = tmp_path / "other"
    with pytest.raises(UnfitConfiguration, match=r"another base.*differ by \d"):
        learn(config, tmp_path / "run")


def test_an_adapter_is_needed_and_a_server(server: SamplingServer, tmp_path: Path) -> None:
    with pytest.raises(UnfitConfiguration, match=r"set model\.lora"):
        learn(settings(server, model=Model(name=str(server.base))), tmp_path / "run")
    away = Rollout(prompts=2, replies=4, vllm=Vllm(mode="adapter", url=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(UnfitConfiguration, match=r"The vLLM at http://127\.0\.0\.1:\d+ cannot be reached\."):
        learn(settings(server, rollout=away), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_server_that_fails_ends_the_run(server: SamplingServer, tmp_path: Path) -> None:
    server.fails_after = 2
    with pytest.raises(TrainingError, match=r"answered with status 500\.$"):
        learn(settings(server), tmp_path / "run")


@pytest.mark.vllm
def test_a_real_vllm_samples_by_the_adapter_that_was_trained(
    vllm_server: ModelServer, small_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Sampled] = []
    load = VllmServer.load

    def load_and_ask(self: VllmServer, name: str, folder: Path) -> None:
        """The same draws of the same prompt, which the server has read under the adapters before this."""
        load(self, name, folder)
        asked = {"model": name, "prompt": list(range(1000, 1040)), "n": 1, "max_tokens": 8, "seed": 1}
        given.extend(self.complete(asked | {"logprobs": 0, "return_token_ids": True}))

    monkeypatch.setattr(VllmServer, "load", load_and_ask)
    lora = Lora(rank=4, alpha=8, modules=("q_proj", "k_proj", "v_proj"))
    config = toy.config(
        small_model_dir,
        model=Model(name=str(small_model_dir), dtype="auto", lora=lora),
        rollout=Rollout(prompts=1, replies=4, max_reply_tokens=8, vllm=Vllm(mode="adapter", url=vllm_server.base_url)),
        grpo=Grpo(rounds=2, learning_rate=5e-3, micro_batch=4),
        ppo=None,
    )
    trained = TrlTrainer().grpo(config, toy.Toy(toy.rows(1)), tmp_path / "run")
    assert trained.finished
    assert max(measured(trained, "sampler_difference")) < 0.1
    assert measured(trained, "sampler_ratio") == pytest.approx([1.0, 1.0], abs=0.3)
    probed, first, second = given
    assert probed == first
    assert second.logprobs != pytest.approx(first.logprobs, abs=0.01)
