"""Policies of the model in process: found in folders, checked, and named in what they reply."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from app.core import policies
from app.core.errors import ModelUnreachable, UnfitPolicy
from app.core.policies import Base, PromptStamp, Served
from app.core.values import Role
from app.local.engine import LocalCompleter
from app.local.running import for_small_model, local_policies
from app.settings import Settings
from tests.fixtures.policies import a_stamp
from tests.local.adapters import make_adapter
from tests.local.prompts import a_prompt, closed, text

SETTINGS = for_small_model(Settings(_env_file=None))
SCHEMA = closed({"text": text(20, 40)})


def policy_in(folder: Path, tiny_model_dir: Path, role: Role = Role.MANAGER, **given: Any) -> Served:
    make_adapter(tiny_model_dir, folder, 3, r=2)
    prompt = PromptStamp.of(role, getattr(SETTINGS, role.value))
    known: dict[str, Any] = {"prompt": prompt, "weights_sha256": policies.weights_sha256(folder)} | given
    stamp = a_stamp("tiny-1", role, **known)
    policies.write_stamp(folder, stamp)
    return Served(stamp=stamp, model=stamp.label, folder=str(folder))


def with_policies(chosen: str) -> Settings:
    return SETTINGS.model_copy(update={"local": SETTINGS.local.model_copy(update={"policies": chosen})})


async def test_each_role_has_its_policy_or_the_model_itself(tiny_model_dir: Path, tmp_path: Path) -> None:
    policy = policy_in(tmp_path / "manager", tiny_model_dir, base=Base(name="tiny"))
    completer = LocalCompleter(tiny_model_dir, name="tiny", policies={Role.MANAGER: policy})
    await completer.start()
    asked = [a_prompt(schema=SCHEMA, role=role) for role in Role]
    replies = dict(zip(Role, await asyncio.gather(*map(completer.complete, asked)), strict=True))
    assert {role: one.policy for role, one in replies.items()} == {
        Role.EXTRACTOR: "tiny",
        Role.MANAGER: policy.label,
        Role.ANSWERER: "tiny",
    }
    # The prompts are the same, so it is the adapter that tells.
    assert replies[Role.EXTRACTOR].text == replies[Role.ANSWERER].text != replies[Role.MANAGER].text
    promoted = await completer.complete(asked[0], policy)
    assert (promoted.policy, promoted.text) == (policy.label, replies[Role.MANAGER].text)
    gone = policy.model_copy(update={"stamp": a_stamp("gone"), "folder": str(tmp_path / "gone")})
    with pytest.raises(ModelUnreachable, match="adapter_config"):
        await completer.complete(asked[0], gone)
    assert await completer.complete(asked[0])
    await completer.aclose()


async def test_a_policy_of_another_model_ends_the_start(tiny_model_dir: Path, tmp_path: Path) -> None:
    for given, why in (
        ({"base": Base(name="other", sha256="0" * 64)}, "made from other"),
        ({"form": "merged"}, "no adapter"),
    ):
        policy = policy_in(tmp_path / "manager", tiny_model_dir, **given)
        completer = LocalCompleter(tiny_model_dir, policies={Role.MANAGER: policy})
        with pytest.raises(UnfitPolicy, match=why):
            await completer.start()
        await completer.aclose()


def test_policies_are_found_by_role(tiny_model_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    policy = policy_in(tmp_path / "manager", tiny_model_dir)
    (tmp_path / "answerer.txt").touch()
    assert local_policies(with_policies(str(tmp_path))) == {Role.MANAGER: policy}
    assert local_policies(with_policies("none")) == {}
    other_model = with_policies("packaged")
    other_model.local.model = "some/other"
    assert local_policies(other_model) == {}
    settings = with_policies(str(tmp_path)).model_copy(
        update={"manager": SETTINGS.manager.model_copy(update={"max_shown": 7})}
    )
    with caplog.at_level(logging.WARNING):
        assert local_policies(settings) == {Role.MANAGER: policy}
    assert "max_shown was 6 and is 7" in caplog.text


def test_wrong_policies_refuse_the_start_in_one_line(tiny_model_dir: Path, tmp_path: Path) -> None:
    otherwise = SETTINGS.manager.model_copy(update={"reasoning": not SETTINGS.manager.reasoning})
    policy_in(tmp_path / "manager", tiny_model_dir, prompt=PromptStamp.of(Role.MANAGER, otherwise))
    (tmp_path / "empty" / "manager").mkdir(parents=True)
    wrong = {
        str(tmp_path): "MEMORY_R1_LOCAL__POLICIES=none",
        str(tmp_path / "empty"): "policy.json",
        "packed": "'packed'",
    }
    for folder, why in wrong.items():
        with pytest.raises(UnfitPolicy, match=why) as refused:
            local_policies(with_policies(folder))
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("role", Role)
def test_the_policies_that_ship_fit_the_embedded_default(role: Role) -> None:
    for found, policy in local_policies(with_policies("packaged")).items():
        if found is role:
            assert policies.check(policy.stamp, role, getattr(SETTINGS, role.value)) == []
            assert sum(file.stat().st_size for file in Path(str(policy.folder)).iterdir()) <= 16 << 20
