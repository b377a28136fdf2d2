"""Rows under several adapters in one batch say what PEFT's merged models say alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.core.errors import UnfitPolicy
from app.core.policies import ADAPTER_FILE
from app.local.adapters import CONFIG_FILE
from app.local.decoding import Decoder, Row
from tests.local.adapters import make_adapter, merged
from tests.local.prompts import a_prompt, closed, text
from tests.local.test_decoding import check_each_choice_of, reference

PROMPTS = [
    a_prompt("Short.", closed({"text": text(20, 40)})),
    a_prompt("Longer. " * 30, closed({"text": text(5, 60)})),
    a_prompt("Žofia žije v Žiline.", closed({"op": {"enum": ["ADD", "UPDATE"]}, "text": text(8, 30)})),
]
WHOLE: dict[str, Any] = {"r": 4}
UPPER: dict[str, Any] = {
    "r": 3,
    "lora_alpha": 12,
    "use_rslora": True,
    "target_modules": ["q_proj", "v_proj", "down_proj"],
    "layers_to_transform": [1, 2],
}


@pytest.fixture(scope="module")
def adapters(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One on all layers, one on the upper ones, of different ranks."""
    root = tmp_path_factory.mktemp("adapters")
    made = {"whole": WHOLE, "upper": UPPER}
    return {name: make_adapter(tiny_model_dir, root / name, n, **made[name]) for n, name in enumerate(made)}


@pytest.fixture(scope="module")
def decoder(tiny_model_dir: Path, adapters: dict[str, Path]) -> Decoder:
    decoder = Decoder(tiny_model_dir, dtype=torch.float32, max_batch=6)
    for name, folder in adapters.items():
        decoder.adapters.add(name, folder)
    return decoder


def test_mixed_rows_say_what_merged_models_say_alone(
    tiny_model_dir: Path, adapters: dict[str, Path], decoder: Decoder
) -> None:
    tokenizer, _, vocabulary = reference(tiny_model_dir)
    models = {name: merged(tiny_model_dir, adapters.get(name or "")) for name in (None, *adapters)}
    # The same prompts under each: so a kept prefix of another adapter would be seen.
    calls = [(prompt, name) for prompt in PROMPTS for name in (None, "whole", "upper")]
    rows: list[Row] = []
    while len(rows) < len(calls) or decoder.rows:
        if len(rows) < len(calls) and len(decoder.rows) < 5:
            prompt, name = calls[len(rows)]
            rows.append(decoder.join(prompt, 200, name))
        for row in [row for row in decoder.rows if row.finished]:
            decoder.leave(row)
        if decoder.rows:
            decoder.step()
    for (prompt, name), row in zip(calls, rows, strict=True):
        check_each_choice_of(tokenizer, models[name], vocabulary, prompt, row)
    replies = [row.text() for row in rows]
    assert len({tuple(replies[place : place + 3]) for place in range(0, len(replies), 3)}) == 3
    assert all(len(set(replies[place : place + 3])) == 3 for place in range(0, len(replies), 3))


def test_a_row_without_an_adapter_is_the_model_itself(tiny_model_dir: Path, decoder: Decoder) -> None:
    plain = Decoder(tiny_model_dir, dtype=torch.float32)
    row, same = decoder.join(PROMPTS[0], 200), plain.join(PROMPTS[0], 200)
    beside = decoder.join(PROMPTS[0], 200, "whole")
    while not row.finished:
        decoder.step()
    while not same.finished:
        plain.step()
    assert row.reply == same.reply
    for left in (row, beside):
        decoder.leave(left)


def spoiled(adapter: Path, folder: Path, spoil: str) -> Path:
    """A copy of an adapter with one thing wrong."""
    folder.mkdir()
    config = json.loads((adapter / CONFIG_FILE).read_text())
    weights = load_file(adapter / ADAPTER_FILE)
    first = next(name for name in weights if ".lora_B." in name)
    match spoil:
        case "dora":
            config["use_dora"] = True
        case "started from the weights":
            config["init_lora_weights"] = "pissa"
        case "another kind":
            config["peft_type"] = "IA3"
        case "ranks by layer":
            config["rank_pattern"] = {"q_proj": 2}
        case "half":
            del weights[first]
        case "on the head":
            weights["base_model.model.lm_head.lora_A.weight"] = torch.zeros(4, 96)
            weights["base_model.model.lm_head.lora_B.weight"] = torch.zeros(49152, 4)
        case "another layer":
            weights = {name.replace("layers.2", "layers.7"): weight for name, weight in weights.items()}
        case "another size":
            weights[first] = weights[first][:-1].clone()
        case "saved whole":
            weights["base_model.model.lm_head.weight"] = torch.zeros(1)
    (folder / CONFIG_FILE).write_text("{" if spoil == "no configuration" else json.dumps(config))
    if spoil != "no weights":
        save_file(weights, folder / ADAPTER_FILE)
    return folder


WRONG = {
    "dora": "use_dora",
    "started from the weights": "init_lora_weights",
    "another kind": "IA3",
    "ranks by layer": "rank_pattern",
    "half": "not whole",
    "on the head": "lm_head",
    "another layer": r"layers\.7",
    "another size": "another size",
    "saved whole": "lm_head",
    "no configuration": "no configuration",
    "no weights": "cannot be read",
}


@pytest.mark.parametrize("spoil", WRONG)
def test_what_is_no_plain_adapter_of_the_model_is_refused(
    spoil: str, tmp_path: Path, adapters: dict[str, Path], decoder: Decoder
) -> None:
    with pytest.raises(UnfitPolicy, match=WRONG[spoil]):
        decoder.adapters.add("wrong", spoiled(adapters["whole"], tmp_path / "wrong", spoil))
    assert "wrong" not in decoder.adapters
