"""Training by the command: a warm start, then rewards from it, broken off and gone on with."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from app.core.policies import read_policy
from app.core.values import Role
from tests.llm.scripted import Messages, Reply, ScriptedServer, says
from training import cli, metrics_log, run_record
from training.overrides import configured
from training.runs import Run, task_of
from training.sources import Source

SIZES = """
seed = 3
reward = "small"

[rules]
small = true

[rollout]
prompts = 1
replies = 2
max_prompt_tokens = 6000
long_prompts = "leave out"
max_reply_tokens = 6

[sft]
rounds = 2
batch = 2
learning_rate = 1e-2
max_tokens = 6000

[grpo]
rounds = 2
micro_batch = 2
learning_rate = 1e-2

[logo]
rounds = 1
conversations = 1
trajectories = 2
rows = 4
lengths = [2]
inner_replies = 2
learning_rate = 1e-2

[log]
progress = false
tensorboard = false
plots = false

[checkpoints]
every = 1
"""


pytestmark = pytest.mark.usefixtures("hashed_words")


@pytest.fixture
def settings(tmp_path: Path, architectures: dict[str, Path]) -> str:
    file = tmp_path / "toy.toml"
    model = f'[model]\nname = "{architectures["qwen2"]}"\nlora = {{ rank = 4 }}\n'
    file.write_text(f"{SIZES}\n{model}", encoding="utf-8")
    return str(file)


def command(*arguments: str, ends: int = 0) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    assert ended.value.code == ends


def test_from_a_warm_start_to_a_policy(
    settings: str, tmp_path: Path, answering_server: ScriptedServer, capfd: pytest.CaptureFixture[str]
) -> None:
    warm, learned, measured, policy = (tmp_path / name for name in ("warm", "learned", "measured", "policy"))
    role = ("--role", "manager", "--config", settings, "--conversations", "1", "--seed", "13")
    command("sft", *role, "--out", str(warm))
    said = capfd.readouterr()
    assert re.search(r"\d+ rows; tokens of prompt and reply: least \d+, median \d+, most \d+", said.err)
    assert "Finished. Rounds done: 2." in said.out

    server = f"any@{answering_server.base_url}"
    answering_server.on(_interrupted, role=Role.ANSWERER, times=1)
    rewarded = ("grpo", *role, "--start", str(warm), "--out", str(learned), "--answerer", server)
    command(*rewarded)
    stopped = run_record.read(learned)
    assert (stopped.rounds, stopped.finished, stopped.resumed) == (1, False, 0)
    assert re.search(r"\d left out: no question hangs on it", capfd.readouterr().err)

    command(*rewarded, ends=1)
    assert "resume it, or choose another folder" in capfd.readouterr().err
    command(*rewarded, "--resume", "--set", "grpo.learning_rate=1", ends=1)
    assert "another configuration" in capfd.readouterr().err
    command(*rewarded, "--resume", "--conversations", "2", ends=1)
    assert "began with other rows" in capfd.readouterr().err
    assert run_record.read(learned) == stopped

    command(*rewarded, "--resume")
    done = run_record.read(learned)
    assert (done.rounds, done.finished, done.resumed, done.started) == (2, True, 1, stopped.started)
    assert [line["round"] for line in metrics_log.read(learned / "metrics.jsonl")] == [1, 2]
    assert done.methods == ("sft", "grpo")
    assert done.before == run_record.read(warm)
    assert done.data.seed == 13 and done.data.rows > 10
    assert done.prompt.options["reasoning"] is False
    assert done.others == {"answerer": server}

    exam = ("--config", settings, "--rows", "agents", "--turns", "5", "--questions", "1", "--conversations", "1")
    command("eval", *exam, "--untrained", server, "--manager", str(learned), "--out", str(measured))
    command("export", str(learned), "--name", "toy-1", "--out", str(policy), "--scores", str(measured), ends=1)
    assert "say it with --licence" in capfd.readouterr().err
    command("export", str(learned), "--name", "toy-1", "--out", str(policy), "--scores", str(measured),
            "--licence", "Apache-2.0")  # fmt: skip
    stamp = read_policy(policy)
    assert (stamp.role, stamp.method, stamp.steps) == (Role.MANAGER, "sft, then grpo", 4)
    assert stamp.prompt == done.prompt and len(stamp.data) == 2
    assert any(score.measure.startswith("mem0_f1") for score in stamp.scores)

    command("score", str(policy), "--scores", str(measured), ends=1)
    assert f"was the manager, not {stamp.label}" in capfd.readouterr().err
    remeasured = tmp_path / "remeasured"
    command("eval", *exam, "--untrained", server, "--manager", str(policy), "--out", str(remeasured))
    command("score", str(policy), "--scores", str(remeasured), "--limit", "A toy.")
    rescored = read_policy(policy)
    assert rescored.label == stamp.label and rescored.limits == ("A toy.",)
    assert {"mem0_f1", "evidence in the prompt"} <= {one.measure.partition(",")[0] for one in rescored.scores}
    assert "A toy." in (policy / "README.md").read_text()
    stamp = rescored

    further, again = tmp_path / "further", tmp_path / "again"
    command("sft", *role, "--start", str(policy), "--out", str(further))
    assert run_record.read(further).policy == stamp
    command("export", str(further), "--name", "toy-2", "--out", str(again), "--licence", "Apache-2.0")
    later = read_policy(again)
    assert later.base == stamp.base and later.base.sha256
    assert (later.method, later.steps) == ("sft, then grpo, then sft", 6)
    assert later.data == stamp.data, "the same rows again are told once"


def test_trajectories_are_learned_from_too(settings: str, tmp_path: Path, answering_server: ScriptedServer) -> None:
    out = tmp_path / "run"
    command("logo", "--role", "manager", "--config", settings, "--conversations", "2", "--out", str(out),
            "--answerer", f"any@{answering_server.base_url}")  # fmt: skip
    record = run_record.read(out)
    assert (record.method, record.rounds, record.finished) == ("logo", 1, True)
    assert len(record.data.conversations) == 2 and record.data.rows > 20


def test_another_process_makes_the_same_task(settings: str, tmp_path: Path) -> None:
    source = Source(kind="simulator", seed=4, conversations=1)
    run = Run(role=Role.ANSWERER, method="grpo", config=configured(settings), source=source, out=tmp_path)
    first, second = (task_of(json.loads(run.model_dump_json())).rows for _ in range(2))
    assert len(first) > 10 and run_record.rows_sha256(first) == run_record.rows_sha256(second)


def _interrupted(messages: Messages) -> Reply:
    """As by Ctrl-C in the middle of a round."""
    os.kill(os.getpid(), signal.SIGINT)
    return says({"memories": [], "answer": None})
