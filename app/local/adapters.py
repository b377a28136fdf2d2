"""LoRA adapters on a running model: each row of a batch has its own, or none (Hu et al. 2021, as PEFT stores them).

Where the rows of a pass have one adapter, a layer adds the product of its two matrices. Where they have several, it
adds that of all adapters side by side, and what is not a row's own is multiplied by zero in between.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from app.core.errors import UnfitPolicy
from app.core.policies import ADAPTER_FILE

CONFIG_FILE = "adapter_config.json"
_WEIGHT = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<side>[AB])\.weight")
_PLAIN = {"use_dora": False, "fan_in_fan_out": False, "lora_bias": False, "bias": "none"}
_EMPTY = (
    "rank_pattern alpha_pattern modules_to_save trainable_token_indices layer_replication target_parameters "
    "alora_invocation_tokens use_qalora use_bdlora arrow_config velora_config kasa_config megatron_config"
).split()
_STARTS = (True, False, "gaussian", None)
"""Ways to start an adapter that leave the model's own weights as they are."""


@dataclass(frozen=True)
class Adapter:
    """The matrices of an adapter by the layer that they are for: down (rank, in) and up (out, rank), scaled."""

    matrices: dict[str, tuple[Tensor, Tensor]]


def read_adapter(folder: Path) -> Adapter:
    """An adapter in PEFT's form. Raises `UnfitPolicy` for what is no plain LoRA."""
    scale = _scale(folder)
    try:
        weights = load_file(folder / ADAPTER_FILE)
    except (OSError, ValueError) as error:
        raise UnfitPolicy(f"{folder / ADAPTER_FILE} cannot be read.") from error
    sides: dict[str, dict[str, Tensor]] = {}
    for name, weight in weights.items():
        found = _WEIGHT.fullmatch(name)
        if found is None:
            raise UnfitPolicy(f"The adapter in {folder} has weights of a kind that is not served: {name}.")
        sides.setdefault(found["layer"], {})[found["side"]] = weight
    halves = [layer for layer, pair in sides.items() if len(pair) != 2]
    if halves or not sides:
        raise UnfitPolicy(f"The adapter in {folder} is not whole.")
    return Adapter({layer: (pair["A"], pair["B"] * scale) for layer, pair in sides.items()})


def _scale(folder: Path) -> float:
    """What the product of the matrices is multiplied by."""
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnfitPolicy(f"{folder / CONFIG_FILE} is no configuration of a LoRA adapter.") from error
    other = [name for name, plain in _PLAIN.items() if config.get(name, plain) != plain]
    other += [name for name in _EMPTY if config.get(name)]
    other += ["init_lora_weights"] if config.get("init_lora_weights") not in _STARTS else []
    if config.get("peft_type") != "LORA" or other:
        raise UnfitPolicy(f"The adapter in {folder} is no plain LoRA: {', '.join(other) or config.get('peft_type')}.")
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


@dataclass
class _Aim:
    """Whose rows the pass under way has."""

    rows: Sequence[str | None] = ()
    masks: dict[tuple[str, ...], Tensor] = field(default_factory=dict)

    @property
    def alone(self) -> str | None:
        """The adapter of all rows, where they have the same."""
        return self.rows[0] if self.rows and self.rows.count(self.rows[0]) == len(self.rows) else None


class Adapters:
    """The adapters on one model, by name. Not thread-safe."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._names: set[str] = set()
        self._layers: dict[str, _Layer] = {}
        self._aim = _Aim()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str, folder: Path) -> None:
        """Take an adapter in. Raises `UnfitPolicy` where it was made for another model; nothing has changed then."""
        adapter = read_adapter(folder)
        linears = {layer: self._linear(layer) for layer in adapter.matrices}
        for layer, linear in linears.items():
            down, up = adapter.matrices[layer]
            if (up.shape[0], down.shape[1]) != (linear.out_features, linear.in_features) or len(down) != up.shape[1]:
                raise UnfitPolicy(f"The adapter {name} was made for another model: {layer} has another size.")
        for layer, linear in linears.items():
            if layer not in self._layers:
                self._layers[layer] = _Layer(linear, self._aim)
            self._layers[layer].add(name, *adapter.matrices[layer])
        self._names.add(name)

    def aim(self, rows: Sequence[str | None]) -> None:
        """Which adapter each row of the next pass has; None: the model as it is."""
        self._aim.rows = rows
        self._aim.masks.clear()

    def _linear(self, name: str) -> nn.Linear:
        try:
            layer = self._model.get_submodule(name)
        except AttributeError as error:
            raise UnfitPolicy(f"The adapter was made for another model: there is no layer {name}.") from error
        if not isinstance(layer, nn.Linear) or layer is self._model.get_output_embeddings():
            raise UnfitPolicy(f"An adapter on {name} is not served: only one on linear layers other than the last.")
        return layer


class _Layer:
    """What adapters add to one linear layer."""

    def __init__(self, linear: nn.Linear, aim: _Aim) -> None:
        self._weight, self._aim = linear.weight, aim
        self._own: dict[str, tuple[Tensor, Tensor]] = {}
        self._joint: tuple[Tensor, Tensor]
        linear.register_forward_hook(self._add_to)

    def add(self, name: str, down: Tensor, up: Tensor) -> None:
        self._own[name] = (down.to(self._weight).T.contiguous(), up.to(self._weight).T.contiguous())
        downs, ups = zip(*self._own.values(), strict=True)
        self._joint = (torch.cat(downs, dim=1), torch.cat(ups))

    def _add_to(self, linear: nn.Module, given: tuple[Tensor], output: Tensor) -> None:
        """Adds in place to what the layer made of (rows, tokens, in)."""
        aim = self._aim
        if not any(row in self._own for row in aim.rows):
            return
        alone = aim.alone
        down, up = self._own[alone] if alone is not None else self._joint
        inner = given[0] @ down
        if alone is None:
            inner *= self._mask()
        output.view(-1, up.shape[1]).addmm_(inner.view(-1, up.shape[0]), up)

    def _mask(self) -> Tensor:
        """(rows, 1, ranks): one where a rank is the row's own."""
        names = tuple(self._own)
        if names not in self._aim.masks:
            ranks = torch.tensor([up.shape[0] for _, up in self._own.values()])
            own = torch.tensor([[row == name for name in names] for row in self._aim.rows])
            mask = own.repeat_interleave(ranks, dim=1)[:, None]
            self._aim.masks[names] = mask.to(self._weight)
        return self._aim.masks[names]
