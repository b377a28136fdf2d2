"""Stamps: written and read again, and compared with how the service asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core import policies, rendering
from app.core.agents.answerer import AnswererOptions
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import ManagerOptions
from app.core.errors import UnfitPolicy
from app.core.policies import PromptStamp, check
from app.core.values import Role
from tests.fixtures.policies import OPTIONS, a_stamp


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy's folder."""
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    policies.write_stamp(tmp_path, a_stamp(weights_sha256=policies.weights_sha256(tmp_path)))
    return tmp_path


def test_a_stamp_is_read_as_it_was_written(folder: Path) -> None:
    stamp = policies.read_policy(folder)
    assert stamp == a_stamp(weights_sha256=policies.weights_sha256(folder))
    assert stamp.label == f"small-1@{stamp.weights_sha256[:12]}"


def test_other_weights_are_noticed(folder: Path) -> None:
    (folder / "adapter_model.safetensors").write_bytes(b"weightz")
    with pytest.raises(UnfitPolicy, match="are not those"):
        policies.read_policy(folder)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(UnfitPolicy, match="no weights"):
        policies.read_policy(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "x"}', "\udcff"])
def test_what_is_no_stamp_is_told_in_one_line(folder: Path, text: str) -> None:
    (folder / "policy.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UnfitPolicy, match="is no stamp") as refused:
        policies.read_policy(folder)
    assert "\n" not in str(refused.value)


def test_a_stamp_with_an_unknown_field_is_of_another_version(folder: Path) -> None:
    known = json.loads((folder / "policy.json").read_text())
    (folder / "policy.json").write_text(json.dumps(known | {"later": 1}))
    with pytest.raises(UnfitPolicy, match="later"):
        policies.read_policy(folder)


@pytest.mark.parametrize("role", Role)
def test_a_policy_is_taken_where_it_is_asked_as_it_was_trained(role: Role) -> None:
    assert check(a_stamp(role=role), role, OPTIONS[role]) == []


def test_a_policy_of_another_role_is_refused() -> None:
    with pytest.raises(UnfitPolicy, match=r"for the manager, not for the answerer"):
        check(a_stamp(), Role.ANSWERER, AnswererOptions())


def test_another_text_is_refused_with_both_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    stamp, asked = a_stamp(), PromptStamp.of(Role.MANAGER, ManagerOptions())
    monkeypatch.setattr(rendering, "prompt_text", lambda name: "[system]\nDo otherwise.")
    now = PromptStamp.of(Role.MANAGER, ManagerOptions())
    assert now.version != asked.version
    with pytest.raises(UnfitPolicy, match=f"{asked.version}.*{now.version}"):
        check(stamp, Role.MANAGER, ManagerOptions())


def test_a_switch_is_refused_and_a_number_is_told() -> None:
    with pytest.raises(UnfitPolicy, match="reasoning was True and is False"):
        check(a_stamp(), Role.MANAGER, ManagerOptions(reasoning=False))
    told = check(a_stamp(role=Role.EXTRACTOR), Role.EXTRACTOR, ExtractorOptions(max_facts=3))
    assert told == ["max_facts was 6 and is 3"]


def test_an_option_younger_than_the_policy_was_as_by_default() -> None:
    prompt = PromptStamp.of(Role.MANAGER, ManagerOptions())
    older = {name: value for name, value in prompt.options.items() if name != "reasoning"}
    stamp = a_stamp(prompt=prompt.model_copy(update={"options": older, "version": "manager-of-then"}))
    assert check(stamp, Role.MANAGER, ManagerOptions()) == []
    with pytest.raises(UnfitPolicy, match="reasoning"):
        check(stamp, Role.MANAGER, ManagerOptions(reasoning=False))
