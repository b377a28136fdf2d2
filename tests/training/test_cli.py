"""The command line of training: what it refuses, and how it says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.agents import small_model
from app.core.values import Message, Role
from app.local.running import for_small_model
from app.settings import Settings
from training import cli, run_record
from training.engine import NotResumable, Row, TrainingError, UnfitConfiguration
from training.overrides import configured
from training.run_record import RunRecord

COMMANDS = ("simulate", "sft", "grpo", "ppo", "logo", "eval", "export", "score")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command ends with."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: ") and said.count("\n") == 1 and "Traceback" not in said
    return said


def test_help_loads_nothing_that_trains() -> None:
    asked = f"""
import sys
from training import cli
for arguments in {[[], *([one] for one in COMMANDS)]!r}:
    try:
        cli.main([*arguments, "--help"])
    except SystemExit as ended:
        assert ended.code == 0
heavy = {{"torch", "transformers", "trl", "peft", "datasets", "sqlalchemy", "fastapi", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in COMMANDS)


def test_simulate_prints_what_it_made_and_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "made.jsonl"
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", "--conversations", "2", "--seed", "7", "--out", str(file), "--show"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "Bank at the end" in said and "2 conversations" in said
    assert len(file.read_text(encoding="utf-8").splitlines()) == 2


GRPO = ("grpo", "--config", "small_cpu", "--out")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--role", "manager", "--set", "grpo.ronds=3"), "grpo.ronds: Extra inputs are not permitted"),
        (("--role", "manager", "--set", "grpo.rounds=none"), "grpo.rounds: Input should be a valid integer"),
        (("--role", "manager", "--set", "rules.manager.related=0"), "rules.manager.related: Input should be greater"),
        (("--role", "manager", "--set", "rules.manager.reasonning=true"), "Extra inputs are not permitted"),
        (("--role", "manager", "--set", "grpo"), "write it as grpo.rounds=50"),
        (("--role", "manager", "--set", "seed.x=1"), "seed is a value, not a section"),
        (("--role", "manager", "--set", "grpo="), "no section grpo"),
        (("--role", "manager", "--reward", "bigger"), "There is no reward 'bigger'; there are paper, small"),
        (("--role", "manager", "--data", "traces"), "Traces hold replies and no gold answers"),
        (("--role", "manager", "--data", "locomo"), "name a model with --extractor"),
        (("--role", "manager", "--start", "nowhere"), "There is no model in nowhere to go on from"),
        (("--role", "manager", "--set", "rollout.vllm.mode=server"), "needs a GPU"),
        (("--role", "manager", "--set", 'rollout.vllm={mode="adapter",url="http://127.0.0.1:9"}'), "cannot be reached"),
    ],
)
def test_what_cannot_be_run_is_one_line(
    arguments: tuple[str, ...], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert line in refused(capsys, *GRPO, str(tmp_path / "run"), *arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("sft", "--role", "manager", "--config", "nothing", "--out", "x"), "give a file, or one of llama8b_lora_1gpu"),
        (("logo", "--role", "answerer", "--config", "small_cpu", "--out", "x"), "LoGo-GRPO is for the manager"),
        (("eval", "--config", "small_cpu", "--out", "x", "--split", "test"), "The simulator has no split test"),
        (("export", "nowhere", "--name", "one", "--out", "x"), "nowhere is no folder of a run"),
    ],
)
def test_other_commands_refuse_in_one_line_too(
    arguments: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEMORY_R1_LOCOMO", raising=False)
    assert line in refused(capsys, *arguments)


def test_arguments_of_another_form_are_the_shells_business() -> None:
    for arguments in (["grpo"], ["grpo", *GRPO[1:], "x", "--role", "judge"], ["simulate", "--conversations", "0"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 2


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[grpo\n", encoding="utf-8")
    with pytest.raises(UnfitConfiguration, match="cannot be read as TOML"):
        configured(str(file))


def test_values_are_set_by_their_dotted_names() -> None:
    chosen = configured(
        "qwen7b_lora_1gpu", ["grpo.rounds=50", "model.name=some/model", "rollout.vllm=", "model.lora.rank=4"]
    )
    assert chosen.grpo and chosen.grpo.rounds == 50
    assert chosen.model.name == "some/model" and chosen.model.lora and chosen.model.lora.rank == 4
    assert chosen.rollout.vllm is None


def test_the_small_model_is_trained_as_it_is_served() -> None:
    rules = configured("small_cpu").rules
    served = for_small_model(Settings(_env_file=None))
    for role in Role:
        assert rules.of(role) == getattr(served, role.value).model_dump()
    assert rules.of(Role.MANAGER)["reasoning"] is False
    changed = configured("small_cpu", ["rules.manager.related=7"]).rules.of(Role.MANAGER)
    assert configured("small_cpu").model_dump(mode="json")["rules"]["manager"]["reasoning"] is False
    assert changed["related"] == 7 and changed["max_shown"] == small_model.MANAGER.max_shown


def a_record(**changed: Any) -> RunRecord:
    data = {"source": "simulator", "split": "train", "seed": 1, "conversations": ["a"], "rows": 2, "left_out": {}}
    held: dict[str, Any] = {
        "role": "manager",
        "method": "grpo",
        "config": {},
        "reward": {"token_f1": 1.0},
        "data": data | {"sha256": "0" * 64, "licence": "Apache-2.0"},
        "base": {"name": "tiny"},
        "revision": None,
        "prompt": {"version": "manager-1", "text_sha256": "0" * 64, "options": {}},
        "rules": {},
        "embedder": "hashed",
        "others": {},
        "start": None,
        "before": None,
        "git": {"revision": None, "dirty": True},
        "versions": {},
        "seed": 1,
        "started": "2026-01-01T00:00:00Z",
    }
    return RunRecord.model_validate(held | changed)


def test_a_record_counts_how_often_a_run_went_on(tmp_path: Path) -> None:
    first = run_record.begun(tmp_path, a_record())
    again = run_record.begun(tmp_path, a_record(started="2026-02-01T00:00:00Z"))
    assert (first.resumed, again.resumed, again.started) == (0, 1, first.started)
    done = run_record.ended(tmp_path, again, 7, True)
    assert run_record.read(tmp_path) == done and (done.rounds, done.finished) == (7, True)
    other = json.loads(a_record().model_dump_json())
    other["data"]["sha256"] = "1" * 64
    with pytest.raises(NotResumable, match="other rows"):
        run_record.begun(tmp_path, RunRecord.model_validate(other))
    assert run_record.read(tmp_path) == done


def test_a_record_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"has no run\.json"):
        run_record.read(tmp_path)
    (tmp_path / run_record.FILE).write_text('{"role": "king"}', encoding="utf-8")
    with pytest.raises(TrainingError, match="role"):
        run_record.read(tmp_path)


def test_rows_are_known_by_names_prompts_and_targets() -> None:
    said = (Message(role="user", content="a"),)
    row = Row("1", said, target="b")
    same = run_record.rows_sha256([row])
    others = [Row("2", said, target="b"), Row("1", said), Row("1", "a", target="b"), Row("1", (*said, *said), "b")]
    assert run_record.rows_sha256([Row("1", said, target="b", columns={"x": 1})]) == same
    assert len({same, *(run_record.rows_sha256([one]) for one in others)}) == 5


def test_the_code_is_named_by_its_revision(tmp_path: Path) -> None:
    outside = run_record.git(tmp_path)
    assert outside.revision is None and outside.dirty
