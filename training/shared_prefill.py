"""Reads a prompt once for all its replies: sampling as transformers does it, on keys and values that are copied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache


@contextmanager
def shared_prefill(model: Any) -> Iterator[None]:
    """Within it, `model.generate` puts equal rows through the model once."""
    original = model.generate

    def generate(input_ids: Tensor, attention_mask: Tensor, **options: Any) -> Any:
        cache = _read_once(model, input_ids, attention_mask)
        return original(input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache, **options)

    model.generate = generate
    try:
        yield
    finally:
        del model.generate


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
