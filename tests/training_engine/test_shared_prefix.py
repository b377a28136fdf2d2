"""Reading a common prefix once changes no number of a loss, nor its gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from training.shared_prefill import SHORTEST_PREFIX, share_prefix
from training.trl_quiet import quiet

COMMON = list(range(5, 5 + SHORTEST_PREFIX + 3))


def _model(folder: Path, *, shared: bool) -> Any:
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_pretrained(folder)
    if shared:
        share_prefix(model)
    with quiet():
        adapted: Any = peft.get_peft_model(
            model, peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
        )
    return adapted.train()


def _gradients(model: Any, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    targets = ids[:, 1:].masked_fill(mask[:, 1:] == 0, -100)
    # The padding in front of a prompt is no part of any loss.
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), targets)
    loss.backward()  # type: ignore[no-untyped-call]
    return {"loss": loss.detach()} | {n: w.grad for n, w in model.named_parameters() if w.grad is not None}


def _batch(rows: list[list[int]], *, padding_in_front: int = 0) -> tuple[Tensor, Tensor]:
    width = max(map(len, rows))
    ids = [[0] * padding_in_front + row + [0] * (width - len(row)) for row in rows]
    mask = [[0] * padding_in_front + [1] * len(row) + [0] * (width - len(row)) for row in rows]
    return torch.tensor(ids), torch.tensor(mask)


BATCHES = {
    "a constant part in common": ([[*COMMON, 7, 8, 9], [*COMMON, 9, 3], [*COMMON, 4, 4, 4, 4]], 0),
    "a padded prompt with its replies": ([[*COMMON, 7, 8, 9], [*COMMON, 9, 3]], 4),
    "nothing in common": ([[7, *COMMON], [9, *COMMON]], 0),
    "alike as a whole": ([COMMON, COMMON], 0),
    "alone": ([COMMON], 0),
}


@pytest.mark.parametrize("name", BATCHES)
def test_loss_and_gradients_are_the_same(name: str, model_folder: Path) -> None:
    rows, padding = BATCHES[name]
    ids, mask = _batch(rows, padding_in_front=padding)
    plain, shared = (_gradients(_model(model_folder, shared=one), ids, mask) for one in (False, True))
    assert plain.keys() == shared.keys()
    for key, value in plain.items():
        torch.testing.assert_close(shared[key], value, atol=1e-5, rtol=1e-4, msg=key)


def test_the_common_part_is_read_once(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    read: list[tuple[int, ...]] = []
    original = model.base_model.forward

    def counted(input_ids: Tensor, **options: Any) -> Any:
        read.append(tuple(input_ids.shape))
        return original(input_ids=input_ids, **options)

    monkeypatch.setattr(model.base_model, "forward", counted)
    share_prefix(model)
    ids, mask = _batch([[*COMMON, 7, 8, 9], [*COMMON, 9, 3, 3]])
    model(input_ids=ids, attention_mask=mask, use_cache=False)
    assert read == [(1, len(COMMON)), (2, 3)]
