"""An exported policy is what was trained, stamped; what could not be served is not exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.core import policies
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import ManagerOptions
from app.core.policies import Data, Form, Measured, Score
from app.core.values import Role
from app.local.adapters import Adapters
from tests.local.adapters import make_adapter, merged
from training.export import NotExportable, Provenance, export, git_revision

PROVENANCE = Provenance(
    name="manager-toy-1",
    role=Role.MANAGER,
    options=ManagerOptions(max_shown=6),
    licence="Apache-2.0",
    steps=12,
    data=(Data(source="simulator", split="train", seeds=(1, 2), licence="Apache-2.0"),),
    scores=(
        Score(
            measure="F1", data="simulator", before=Measured(value=0.25), after=Measured(value=0.5, low=0.4, high=0.6)
        ),
    ),
    limits=("English alone.",),
)
LAST = {"r": 4, "target_modules": ["q_proj", "down_proj"], "layers_to_transform": [1]}
PROMPT = torch.arange(3, 40)[None]


@pytest.fixture(scope="module")
def adapter(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(model_folder, tmp_path_factory.mktemp("trained") / "model", 1, **LAST)


@torch.inference_mode()
def logits(model: Any) -> Tensor:
    found: Tensor = model(PROMPT).logits
    return found


def loaded(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_a_server_that_runs_as_another_user_can_read_a_policy(form: Form, adapter: Path, tmp_path: Path) -> None:
    export(adapter, tmp_path / "out", PROVENANCE, form=form)
    plain = tmp_path / "plain"
    plain.touch()
    assert {file.stat().st_mode for file in (tmp_path / "out").iterdir()} == {plain.stat().st_mode}


def test_an_exported_adapter_is_what_was_trained(model_folder: Path, adapter: Path, tmp_path: Path) -> None:
    stamp = export(adapter, tmp_path / "out", PROVENANCE)
    wanted, plain = logits(merged(model_folder, adapter)), logits(loaded(model_folder))
    by_peft = logits(merged(model_folder, tmp_path / "out"))
    ours = loaded(model_folder)
    adapters = Adapters(ours)
    adapters.add("it", tmp_path / "out")
    adapters.aim(["it"])
    assert (wanted - plain).abs().max() > 1
    torch.testing.assert_close(by_peft, wanted, atol=0.02, rtol=0.01)
    torch.testing.assert_close(logits(ours), by_peft, atol=1e-3, rtol=1e-4)
    assert policies.read_policy(tmp_path / "out") == stamp
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == model_folder.name == stamp.base.name
    assert not [path for path in tmp_path.iterdir() if path.name != "out"]


def test_an_exported_merged_model_is_what_was_trained(model_folder: Path, adapter: Path, tmp_path: Path) -> None:
    stamp = export(adapter, tmp_path / "out", PROVENANCE, form="merged")
    assert stamp.form == "merged" and policies.read_policy(tmp_path / "out") == stamp
    difference = (logits(loaded(tmp_path / "out")) - logits(merged(model_folder, adapter))).abs()
    # bfloat16 keeps 8 bits.
    assert difference.mean() < 0.2
    assert (
        logits(loaded(tmp_path / "out")).argmax(-1).eq(logits(merged(model_folder, adapter)).argmax(-1)).float().mean()
        > 0.8
    )
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.chat_template and tokenizer.padding_side == "right"
    assert json.loads((tmp_path / "out" / "generation_config.json").read_text())["eos_token_id"] == 0


def test_all_weights_that_were_trained_are_exported(model_folder: Path, tmp_path: Path) -> None:
    stamp = export(model_folder, tmp_path / "out", PROVENANCE, form="merged", base="toy", precision="float32")
    assert torch.equal(logits(loaded(tmp_path / "out")), logits(loaded(model_folder)))
    assert stamp.base == policies.Base(name="toy")


def test_the_stamp_and_the_card_tell_what_is_known(adapter: Path, tmp_path: Path) -> None:
    form = {"method": "grpo", "config": {"seed": 7, "grpo": {"rounds": 12}}}
    (adapter.parent / "config.json").write_text(json.dumps(form))
    stamp = export(adapter.parent, tmp_path / "out", PROVENANCE)
    (adapter.parent / "config.json").unlink()
    assert (stamp.method, stamp.seeds, stamp.config, stamp.steps) == ("grpo", (7,), form["config"], 12)
    assert stamp.git_revision == git_revision()
    assert stamp.label == f"manager-toy-1@{stamp.weights_sha256[:12]}"
    assert stamp.prompt.options["max_shown"] == 6
    card = (tmp_path / "out" / "README.md").read_text()
    for told in (
        stamp.label,
        "| F1 | simulator | 0.25 | 0.5 (0.4 to 0.6) |",
        "seeds 1, 2",
        "English alone.",
        "Apache-2.0",
    ):
        assert told in card
    assert str(tmp_path) not in card and str(adapter) not in (tmp_path / "out" / "policy.json").read_text()


def on_the_head(model: Path, folder: Path) -> Path:
    return make_adapter(model, folder, 1, r=2, target_modules=["lm_head", "q_proj"])


def with_dora(model: Path, folder: Path) -> Path:
    return make_adapter(model, folder, 1, r=2, target_modules=["q_proj"], use_dora=True)


def of_no_model(model: Path, folder: Path) -> Path:
    file = make_adapter(model, folder, 1, **LAST) / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": "/gone/away"}))
    return folder


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (on_the_head, "lm_head"),
        (with_dora, "use_dora"),
        (of_no_model, "is not there"),
        (lambda model, _: model, "merged"),
    ],
)
def test_what_cannot_be_served_is_not_exported(
    make: Callable[[Path, Path], Path], why: str, model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotExportable, match=why):
        export(
            make(model_folder, tmp_path / "model"),
            tmp_path / "out",
            PROVENANCE,
            base=None if why != "merged" else "toy",
        )
    assert not (tmp_path / "out").exists() and not (tmp_path / ".out.making").exists()


def test_bad_requests_are_told_in_one_line(adapter: Path, tmp_path: Path) -> None:
    wrong = [
        ("There is no trained model", tmp_path, PROVENANCE),
        ("ManagerOptions, not ExtractorOptions", adapter, replace(PROVENANCE, options=ExtractorOptions())),
        ("no name of a policy", adapter, replace(PROVENANCE, name="../up")),
    ]
    for why, trained, provenance in wrong:
        with pytest.raises(NotExportable, match=why) as refused:
            export(trained, tmp_path / "out", provenance)
        assert "\n" not in str(refused.value)
    with pytest.raises(NotExportable, match=r"MiB and may have 0\.0"):
        export(adapter, tmp_path / "out", PROVENANCE, max_bytes=1000)
    export(adapter, tmp_path / "out", PROVENANCE, max_bytes=1 << 20)
    with pytest.raises(NotExportable, match="already"):
        export(adapter, tmp_path / "out", PROVENANCE)
