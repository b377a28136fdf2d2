"""The keys and values of a changing set of rows: a token's column is its position, so rows need no padding.

A row is read only up to its own length, and what lies beyond is overwritten before it is ever read. Rows join, grow by
different numbers of tokens in one pass, and leave, without a copy of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, Cache, PretrainedConfig

GROUPED_ATTENTION = "memory_r1_grouped"
FIRST_COLUMNS = 1024
"""Columns that are made at once, to grow seldom."""


@dataclass(frozen=True)
class Prefix:
    """The keys and values of the first tokens of a prompt, by layer: (heads, tokens, size)."""

    tokens: list[int]
    keys: list[Tensor]
    values: list[Tensor]


class KeyValueSlots(Cache):
    """Room for `rows` sequences of up to `columns` tokens; it grows to the longest that came."""

    def __init__(self, config: PretrainedConfig, rows: int, columns: int, like: Tensor) -> None:
        super().__init__(layers=[])
        heads = config.num_key_value_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        # Memory of rows that were never used costs nothing: the system gives it when it is first written.
        empty = like.new_empty(rows, heads, 0, size)
        self._keys = [empty] * config.num_hidden_layers
        self._values = [empty] * config.num_hidden_layers
        self._most_columns = columns
        self._clean_rows = 0
        self._rows = slice(0, 0)
        self._positions = torch.empty(0)
        self._columns = 0

    def aim(self, rows: slice, positions: Tensor) -> Tensor:
        """Where the next pass writes: (rows, tokens) positions. The mask of what each of its tokens may read."""
        self._rows, self._positions = rows, positions
        self._columns = int(positions.max()) + 1
        self._reserve(rows.stop, self._columns)
        columns = torch.arange(self._columns, device=positions.device)
        return (columns <= positions[:, :, None])[:, None]

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Called by each attention layer: stores the new tokens, and gives all that may be read."""
        read = []
        for store, states in ((self._keys[layer_idx], key_states), (self._values[layer_idx], value_states)):
            rows = store[self._rows]
            index = torch.arange(len(rows), device=rows.device)[:, None]
            rows[index, :, self._positions] = states.transpose(1, 2)
            read.append(rows[:, :, : self._columns])
        return read[0], read[1]

    def copy_row(self, source: int, target: int, length: int) -> None:
        """Put one row's first `length` tokens into another row."""
        for store in (*self._keys, *self._values):
            store[target, :, :length] = store[source, :, :length]

    def save(self, row: int, tokens: list[int]) -> Prefix:
        """A copy of a row's first tokens."""
        keys = [store[row, :, : len(tokens)].clone() for store in self._keys]
        values = [store[row, :, : len(tokens)].clone() for store in self._values]
        return Prefix(tokens, keys, values)

    def restore(self, row: int, prefix: Prefix, length: int) -> None:
        """Start a row, the last one in use, with the first `length` saved tokens."""
        self._reserve(row + 1, length)
        for stores, saved in ((self._keys, prefix.keys), (self._values, prefix.values)):
            for store, layer in zip(stores, saved, strict=True):
                store[row, :, :length] = layer[:, :length]

    def _reserve(self, rows: int, columns: int) -> None:
        """Make room for so many rows and columns; what no token was put into is zero.

        Attention multiplies what it must not read by zero, and what is left in fresh memory may be NaN.
        """
        if columns > self._keys[0].shape[2]:
            self._clean_rows = min(rows, self._clean_rows)
            self._widen(max(columns, 2 * self._keys[0].shape[2], FIRST_COLUMNS))
        if rows > self._clean_rows:
            for store in (*self._keys, *self._values):
                store[self._clean_rows : rows] = 0
            self._clean_rows = rows

    def _widen(self, columns: int) -> None:
        """Replace every store by a wider one, keeping the clean rows."""
        keep = self._clean_rows
        for stores in (self._keys, self._values):
            for layer, old in enumerate(stores):
                rows, heads, has, size = old.shape
                wider = old.new_empty(rows, heads, min(columns, self._most_columns), size)
                wider[:keep, :, :has] = old[:keep]
                wider[:keep, :, has:] = 0
                stores[layer] = wider


def grouped_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention in which the query heads of one key head are rows of one product, so that no key is copied."""
    rows, heads, width, size = query.shape
    groups = heads // key.shape[1]
    query = query.reshape(rows, key.shape[1], groups * width, size)
    mask = attention_mask.repeat(1, 1, groups, 1)
    output = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling)
    return output.reshape(rows, heads, width, value.shape[-1]).transpose(1, 2).contiguous(), None


AttentionInterface.register(GROUPED_ATTENTION, grouped_attention)
