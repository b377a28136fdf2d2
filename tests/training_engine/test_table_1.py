"""The commands of docs/training.md for the rows of Table 1, each up to where weights and a GPU are needed.

The models are replaced by tiny ones of the same architecture, vLLM by the trainer's own sampling and a scripted server,
the numbers of a round by small ones, and LoCoMo by a file of its form. All else is the command as it is written.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.core.agents import answerer, manager
from app.core.trace import Outcome, Trace
from app.core.values import Fact, Role, Turn, Usage
from tests.llm.scripted import Messages, Reply, ScriptedServer, says
from training import cli, run_record
from training.data.conversation import stable_id
from training.overrides import configured

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^scripts/table_1\.sh (\w+) (\w+)$", (ROOT / "docs/training.md").read_text(), re.MULTILINE)
"""Backbone and row."""
ARCHITECTURE = {"llama8b": "llama", "qwen7b": "qwen2"}
MODEL = {"llama8b": "meta-llama/Llama-3.1-8B-Instruct", "qwen7b": "Qwen/Qwen2.5-7B-Instruct"}
# One step of one prompt; what TRL samples with in place of vLLM, and a machine without bfloat16.
SMALL = """model.dtype=float32 rollout.vllm= rollout.prompts=1 rollout.replies=2 rollout.max_reply_tokens=3
log.progress=false log.tensorboard=false log.plots=false sft.rounds=1 sft.batch=2 grpo.rounds=1 ppo.rounds=1""".split()
pytestmark = pytest.mark.usefixtures("hashed_words")


def test_the_page_has_every_row_of_both_backbones() -> None:
    assert set(ROWS) >= {(backbone, row) for backbone in MODEL for row in ("rag", "base", "sft", "ppo", "grpo")}


def commands(backbone: str, row: str, folder: Path, server: str, traces: Path) -> list[list[str]]:
    """What the script would run."""
    around = os.environ | {"PRINT": "1", "OUT": str(folder), "SERVER": server, "TRACES": str(traces)}
    script = [str(ROOT / "scripts/table_1.sh"), backbone, row]
    said = subprocess.run(script, env=around, capture_output=True, text=True, check=True).stdout
    lines = [shlex.split(line) for line in said.splitlines()]
    assert lines and all(line[0] == "memory-r1-train" for line in lines)
    return [line[1:] for line in lines]


@pytest.mark.parametrize(("backbone", "row"), ROWS)
def test_the_configuration_of_a_row_loads(backbone: str, row: str, tmp_path: Path) -> None:
    for line in commands(backbone, row, tmp_path, "http://127.0.0.1:9/v1", tmp_path / "traces"):
        given = [line[place + 1] for place, word in enumerate(line) if word == "--set"]
        loaded = configured(line[line.index("--config") + 1], given)
        assert loaded.model.name.partition("/")[2].lower().replace("-", "").startswith(backbone[:4])
        assert line[0] == "eval" or getattr(loaded, line[0])
        assert loaded.rollout.vllm and loaded.model.lora and loaded.reward == "paper"


@pytest.mark.parametrize(("backbone", "row"), [one for one in ROWS if one[0] in MODEL])
def test_a_row_runs_with_a_tiny_model(
    backbone: str,
    row: str,
    tmp_path: Path,
    architectures: dict[str, Path],
    answering_server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEMORY_R1_LOCOMO", str(a_locomo_file(tmp_path / "locomo.json")))
    answering_server.model, answering_server.adapters = MODEL[backbone], {}
    answering_server.on(_what_was_said, role=Role.EXTRACTOR)
    small = [
        word for value in (*SMALL, f"model.name={architectures[ARCHITECTURE[backbone]]}") for word in ("--set", value)
    ]
    for line in commands(backbone, row, tmp_path, answering_server.base_url, traces_file(tmp_path / "traces.jsonl")):
        method, steps = line[0], small
        if method != "eval":
            steps = [*small, "--set", f"{method}.micro_batch=1"]
        more = ["--turns", "4", "--questions", "1"] if method == "eval" else []
        with pytest.raises(SystemExit) as ended:
            cli.main([*line, *steps, *more])
        assert ended.value.code == 0
        made = Path(line[line.index("--out") + 1])
        if method == "eval":
            assert "| " in (made / "results.md").read_text(encoding="utf-8")
        else:
            record = run_record.read(made)
            assert (record.method, record.rounds, record.finished) == (method, 1, True)
            assert (made / "model" / "adapter_model.safetensors").is_file()
    if row in ("ppo", "grpo"):
        assert len(answering_server.adapters) == 2


def _what_was_said(messages: Messages) -> Reply:
    speaker, _, text = messages[-1]["content"].rpartition("\n")[2].partition(": ")
    return says({"facts": [{"who": speaker, "what": text.removeprefix("I ")}]})


def a_locomo_file(path: Path) -> Path:
    """Two conversations of LoCoMo's form, of the parts for training and for the test."""
    said = ["I adopted a dog named Buddy.", "That is lovely news.", "I moved to Oslo in May.", "I play the cello."]
    turns = [{"speaker": "Ann" if n % 2 else "Bea", "dia_id": f"D1:{n}", "text": t} for n, t in enumerate(said, 1)]
    questions = [
        {"question": "What is the dog called?", "answer": "Buddy", "category": 4, "evidence": ["D1:1"]},
        {"question": "Where does Ann live?", "answer": "Oslo", "category": 4, "evidence": ["D1:3"]},
    ]
    conversation = {
        "speaker_a": "Ann",
        "speaker_b": "Bea",
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": turns,
    }
    data = [{"sample_id": one, "conversation": conversation, "qa": questions} for one in ("conv-26", "conv-41")]
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def traces_file(path: Path) -> Path:
    """What a service whose model is imitated would have kept."""
    rules = configured("qwen7b_lora_1gpu").rules
    decided = manager.ManagerOptions.model_validate(rules.of(Role.MANAGER))
    answered = answerer.AnswererOptions.model_validate(rules.of(Role.ANSWERER))
    turn = Turn(id=stable_id("t"), speaker="Ann", text="I moved to Oslo.", said_at=run_record.now())
    asked = manager.render([Fact(text="Ann moved to Oslo.")], [], turn, decided)
    questioned = answerer.render("Where does Ann live?", [], {}, answered)
    replies: list[tuple[Any, str, Outcome]] = [
        (asked, '{"reasoning":"It is new.","f1":[{"op":"ADD"}]}', Outcome.DECIDED),
        (questioned, '{"memories":[],"answer":null}', Outcome.ABSTAINED),
    ]
    lines = [
        Trace(
            role=prompt.role,
            messages=prompt.messages,
            reply=reply,
            outcome=outcome,
            policy="strong",
            prompt_version=prompt.version,
            usage=Usage(),
            seconds=1.0,
        ).model_dump_json()
        for prompt, reply, outcome in replies
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
