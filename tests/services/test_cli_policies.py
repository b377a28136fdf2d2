"""`memory-r1 policies`: from an exported folder to a model server, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app import cli
from app.core import policies
from app.core.agents.manager import ManagerOptions
from app.core.policies import PromptStamp
from app.core.values import Role
from tests.fixtures.policies import a_stamp
from tests.llm.scripted import ScriptedServer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    server.adapters = {}
    server.start()
    yield server
    server.stop()


@pytest.fixture
def run(
    database_url: str, server: ScriptedServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs a command of policies: exit code, standard output, standard error."""
    monkeypatch.setenv("MEMORY_R1_DATABASE__URL", database_url)
    monkeypatch.setenv("MEMORY_R1_LLM__BASE_URL", server.base_url)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(["policies", *arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def exported(folder: Path, name: str, weights: bytes = b"w", role: Role = Role.MANAGER, **given: Any) -> Path:
    """A folder as the exporter leaves it."""
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(weights)
    policies.write_stamp(folder, a_stamp(name, role, weights_sha256=policies.weights_sha256(folder), **given))
    return folder


def test_a_policy_is_added_promoted_and_rolled_back(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    folder = exported(tmp_path / "one", "one")
    label = policies.read_policy(folder).label
    assert run("add", str(folder))[0] == 0
    assert server.adapters == {}
    assert run("promote", "one") == (0, f"{label} replies for the manager now.\n", "")
    assert server.adapters == {label: str(folder)}
    listed = json.loads(run("list", "--json")[1])
    assert [(one["label"], one["promoted"]) for one in listed["policies"]] == [(label, True)]
    assert [one["policy"] for one in listed["promotions"]] == ["one"]
    table = run("list")[1]
    assert label in table and "now" in table
    assert run("rollback", "manager")[1] == "The configured model replies for the manager now.\n"
    assert run("remove", "one")[0] == 0
    assert json.loads(run("list", "--json")[1])["policies"] == []


def test_a_model_that_is_served_already_is_added_by_its_name(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    stamp = exported(tmp_path / "one", "one", form="merged") / "policy.json"
    assert run("add", "--model", server.model, "--stamp", str(stamp))[0] == 0
    assert run("promote", "one")[0] == 0
    assert run("add", "--model", "elsewhere", "--stamp", str(exported(tmp_path / "two", "two") / "policy.json"))[0] == 0
    code, _, said = run("promote", "two")
    assert code == 1 and "does not serve 'elsewhere'" in said


def test_what_differs_in_number_is_told(run: Run, tmp_path: Path) -> None:
    prompt = PromptStamp.of(Role.MANAGER, ManagerOptions(max_shown=6))
    code, _, said = run("add", str(exported(tmp_path / "one", "one", prompt=prompt)))
    assert (code, said) == (0, "It is not asked quite as it was trained: max_shown was 6 and is 40.\n")


def test_what_cannot_be_is_one_line(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    otherwise = PromptStamp.of(Role.MANAGER, ManagerOptions(reasoning=False))
    good = exported(tmp_path / "good", "good")
    assert run("add", str(good))[0] == 0
    server.adapters = None
    wrong = {
        "prompt manager-": ("add", str(exported(tmp_path / "unfit", "unfit", prompt=otherwise))),
        "whole model": ("add", str(exported(tmp_path / "merged", "merged", form="merged"))),
        "cannot be read": ("add", str(tmp_path / "nowhere")),
        "Give either": ("add",),
        "another policy 'good'": ("add", str(exported(tmp_path / "other", "good", b"other"))),
        "no policy 'nobody'": ("promote", "nobody"),
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": ("promote", "good"),
        "No policy is promoted": ("rollback", "answerer"),
    }
    for why, arguments in wrong.items():
        code, out, said = run(*arguments)
        assert (code, out) == (3 if why == "no policy 'nobody'" else 1, ""), (why, said)
        assert said.startswith("Error: ") and said.count("\n") == 1, (why, said)
        assert why in said
    assert not any(one["promoted"] for one in json.loads(run("list", "--json")[1])["policies"])
