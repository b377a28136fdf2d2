"""Reads what sequences have in common once, in sampling and in the passes of a loss, on copies of keys and values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

SHORTEST_PREFIX = 32
"""Tokens in common below which a second pass costs more than it saves."""


@contextmanager
def shared_prefill(model: Any) -> Iterator[None]:
    """Within it, `model.generate` puts equal rows through the model once."""
    original = model.generate

    def generate(input_ids: Tensor, attention_mask: Tensor, **options: Any) -> Any:
        cache = _read_once(model, input_ids, attention_mask)
        return original(input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache, **options)

    with generating_by(model, generate):
        yield


@contextmanager
def generating_by(model: Any, generate: Any) -> Iterator[None]:
    """Within it, `model.generate` is this function; such replacements may lie within each other."""
    before = vars(model).get("generate")
    model.generate = generate
    try:
        yield
    finally:
        if before is None:
            del model.generate
        else:
            model.generate = before


@torch.no_grad()
def _read_once(model: Any, ids: Tensor, mask: Tensor) -> DynamicCache:
    """Keys and values of all tokens but the last, of each row, computed for the distinct rows alone."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    # The mask tells a padded prompt from one that has the padding token in it.
    distinct, place = torch.unique(torch.cat([ids, mask], dim=1), dim=0, return_inverse=True)
    rows, seen = distinct[:, : ids.shape[1]], distinct[:, ids.shape[1] :]
    positions = (seen.cumsum(dim=1) - 1).clamp(min=0)
    was_training = base.training
    # Gradient checkpointing refuses to fill a cache while the model is in training mode.
    base.eval()
    cache = DynamicCache(config=base.config)
    base.base_model(
        input_ids=rows[:, :-1],
        attention_mask=seen[:, :-1],
        position_ids=positions[:, :-1],
        past_key_values=cache,
        use_cache=True,
    )
    base.train(was_training)
    cache.batch_select_indices(place)
    return cache


def share_prefix(model: Any) -> None:
    """From now on, what all sequences of a batch begin with goes through the model once; the result is the same.

    For the passes of a loss: prompts of one role have their constant part in common, replies to one prompt all of it.
    """
    inner = (model.get_base_model() if hasattr(model, "get_base_model") else model).base_model
    original = inner.forward

    def forward(input_ids: Tensor, attention_mask: Tensor | None = None, **options: Any) -> Any:
        shared = 0 if options.get("use_cache") or options.get("past_key_values") else _common_columns(input_ids)
        if len(input_ids) == 1 or shared < SHORTEST_PREFIX:
            return original(input_ids=input_ids, attention_mask=attention_mask, **options)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        if not bool((mask[:, :shared] == mask[:1, :shared]).all()):
            return original(input_ids=input_ids, attention_mask=attention_mask, **options)
        return _in_two_passes(original, input_ids, mask, shared, options)

    inner.forward = forward


def _in_two_passes(original: Any, ids: Tensor, mask: Tensor, shared: int, options: dict[str, Any]) -> Any:
    positions = options.pop("position_ids", None)
    if positions is None:
        positions = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
    options = {name: value for name, value in options.items() if name not in ("past_key_values", "use_cache")}
    options["use_cache"] = True
    first = original(
        input_ids=ids[:1, :shared], attention_mask=mask[:1, :shared], position_ids=positions[:1, :shared], **options
    )
    cache = first.past_key_values
    cache.batch_repeat_interleave(len(ids))
    rest = original(
        input_ids=ids[:, shared:],
        attention_mask=mask,
        position_ids=positions[:, shared:],
        past_key_values=cache,
        **options,
    )
    prefix = first.last_hidden_state.expand(len(ids), -1, -1)
    rest.last_hidden_state = torch.cat([prefix, rest.last_hidden_state], dim=1)
    rest.past_key_values = None
    return rest


def _common_columns(ids: Tensor) -> int:
    """So many first columns are alike in all rows; at least one column is left over."""
    differs = (ids != ids[:1]).any(dim=0).nonzero()
    first = int(differs[0]) if len(differs) else ids.shape[1]
    return min(first, ids.shape[1] - 1)
