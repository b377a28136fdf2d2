"""The whole service on a real vLLM, which is then killed in the middle of a call."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped, unused-ignore]
import pytest

from app.client import Client
from app.core import policies
from app.core.agents.answerer import AnswererOptions
from app.core.policies import PromptStamp
from app.core.values import Role
from tests.e2e.conversations import BUDDY, hold_conversation, said, wait_until_ended
from tests.e2e.processes import Service, Workplace, eventually
from tests.fixtures.model_servers import WITH_ADAPTERS, ModelServer, serve_vllm
from tests.fixtures.policies import a_stamp
from tests.llm.scripted import ScriptedServer
from tests.local.adapters import make_adapter

pytestmark = pytest.mark.vllm

# As the embedded default has it: a small model loses itself in long questions.
FOR_A_SMALL_MODEL = {
    "extractor__context_turns": 1,
    "extractor__max_facts": 3,
    "extractor__max_fact_characters": 120,
    "manager__related": 4,
    "manager__max_shown": 6,
    "manager__max_text_characters": 200,
    "answerer__max_distilled": 3,
    "answerer__max_answer_characters": 60,
    "llm__max_tokens": 512,
    "llm__timeout": 240,
    "llm__max_retries": 0,
    "worker__max_attempts": 100,
    "worker__max_backoff_seconds": 1,
}


@pytest.mark.usefixtures("vllm_installed")
def test_a_conversation_on_vllm_goes_on_after_vllm_was_killed(
    small_model_dir: Path, database_url: str, workplace: Workplace
) -> None:
    # Not the server that the session shares: this one does not survive.
    with serve_vllm(small_model_dir, *WITH_ADAPTERS) as server:
        settings = {"database__url": database_url, "llm__base_url": server.base_url, "llm__model": server.model}
        with workplace.started("serve", "--port", "0", **settings, **FOR_A_SMALL_MODEL) as service:
            held = hold_conversation(service.url(), "alice")
            assert held.answer["policy"] in (server.model, None)
            policy = answering_policy(small_model_dir, workplace.folder / "policy")
            memory_r1 = partial(workplace.run, **settings, **FOR_A_SMALL_MODEL)
            check_a_policy_is_promoted_and_rolled_back(service, server, policy, memory_r1)
            port = int(server.base_url.rpartition(":")[2].removesuffix("/v1"))
            check_a_kill_is_seen_and_mended(service, port)
            assert service.end(signal.SIGTERM) == 0


def answering_policy(model_dir: Path, folder: Path) -> Path:
    """A random adapter that changes what the model says, stamped for the Answer Agent as it is asked here."""
    upper = list(range(5, 30))
    make_adapter(model_dir, folder, 1, r=8, target_modules=["q_proj", "k_proj", "v_proj"], layers_to_transform=upper)
    prompt = PromptStamp.of(Role.ANSWERER, AnswererOptions(max_distilled=3, max_answer_characters=60))
    weights = policies.weights_sha256(folder)
    policies.write_stamp(folder, a_stamp("random-1", Role.ANSWERER, weights_sha256=weights, prompt=prompt))
    return folder


def check_a_policy_is_promoted_and_rolled_back(
    service: Service, server: ModelServer, folder: Path, memory_r1: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    label = policies.read_policy(folder).label

    def tell(*arguments: str) -> None:
        ran = memory_r1("policies", *arguments)
        assert ran.returncode == 0, ran.stderr

    def replies(name: str) -> bool:
        return bool(client.answer("alice", "Which dog does Carol have?")["policy"] == name)

    with Client(service.url()) as client, httpx.Client(base_url=server.base_url, timeout=240) as vllm:
        # Added as it is: a small model may find nothing to remember.
        memory = {"text": "Carol adopted a dog named Buddy.", "speaker": "Carol"}
        added = httpx.post(f"{service.url()}/v1/banks/alice/memories", json=memory, timeout=240)
        assert added.status_code == 201, added.text
        assert replies(server.model)
        tell("add", str(folder))
        tell("promote", "random-1")
        assert says(vllm, label) != says(vllm, server.model)
        assert eventually(lambda: replies(label))
        # As if it had been started anew.
        vllm.post("unload_lora_adapter", json={"lora_name": label}).raise_for_status()
        assert label not in vllm.get("models").text
        assert replies(label)
        assert label in vllm.get("models").text
        tell("rollback", "answerer")
        assert eventually(lambda: replies(server.model))


def says(vllm: httpx.Client, model: str) -> str:
    asked = {"model": model, "prompt": "The dog", "temperature": 0, "max_tokens": 20}
    text: str = vllm.post("completions", json=asked).raise_for_status().json()["choices"][0]["text"]
    return text


def check_a_kill_is_seen_and_mended(service: Service, port: int) -> None:
    vllm = process_serving(port)
    with Client(service.url()) as client:
        # Frozen first: so the kill surely comes while a call waits.
        os.killpg(vllm.pid, signal.SIGSTOP)
        receipt = client.post_turns("bob", [said(BUDDY, 4, "Bob")])
        assert eventually(lambda: has_call_open(service, port))
        os.killpg(vllm.pid, signal.SIGKILL)

        def progress() -> dict[str, Any]:
            turn: dict[str, Any] = client.ingestion("bob", receipt["ingestion_id"])["turns"][0]
            return turn

        assert eventually(lambda: progress()["state"] == "retrying")
        assert progress()["error"]["type"] == "ModelUnreachable"
        assert client.ingestion("bob", receipt["ingestion_id"])["state"] == "retrying"
        assert client.memories("bob") == []
        with listening_again(port):
            ended = wait_until_ended(client, "bob", receipt["ingestion_id"])
        assert ended["turns"][0]["state"] == "done"
        assert ended["turns"][0]["attempts"] >= 1
        assert ended["turns"][0]["error"] is None


def process_serving(port: int) -> psutil.Process:
    """The leader of the group that serves a port."""
    return next(child for child in psutil.Process().children() if str(port) in child.cmdline())


def has_call_open(service: Service, port: int) -> bool:
    """Whether the service holds a connection to a port."""
    connections = psutil.Process(service.process.pid).net_connections(kind="tcp")
    return any(c.raddr and c.raddr.port == port and c.status == psutil.CONN_ESTABLISHED for c in connections)


@contextmanager
def listening_again(port: int) -> Iterator[None]:
    """Another server in the place of one that is gone."""
    server = ScriptedServer(max_context=16_000, port=port)
    server.start()
    try:
        yield
    finally:
        server.stop()
