"""The models of a run: tokenizer, policy, adapter, critic. Knows transformers and PEFT, and no trainer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import peft
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.core.values import Message
from app.local.decoding import fastest_dtype
from app.local.model import ensure_packaged_model
from training.config import Lora, Model
from training.engine import Row, UnfitConfiguration


def folder_or_name(config: Model) -> str:
    """What transformers loads the model from."""
    if config.name == "packaged":
        return str(ensure_packaged_model(config.models_dir, print))
    return config.name


def tokenizer(config: Model) -> Any:
    """With padding on the left, as sampling needs it."""
    loaded = AutoTokenizer.from_pretrained(folder_or_name(config), revision=config.revision, padding_side="left")
    if loaded.pad_token is None:
        loaded.pad_token = loaded.eos_token
    return loaded


def policy(config: Model) -> Any:
    """The model that is trained; a new adapter is not on it yet."""
    base = folder_or_name(config)
    model = AutoModelForCausalLM.from_pretrained(base, **_loading(config))
    if config.start_adapter is None:
        return model
    adapted = peft.PeftModel.from_pretrained(model, str(config.start_adapter), is_trainable=True)
    # An exported adapter names its base without the folder; what is saved must lead to it.
    adapted.active_peft_config.base_model_name_or_path = base
    return adapted


def new_adapter(config: Model, model: Any) -> peft.LoraConfig | None:
    return _lora(config.lora, "CAUSAL_LM", model) if config.lora else None


def _lora(config: Lora, kind: str, model: Any) -> peft.LoraConfig:
    modules = config.modules if isinstance(config.modules, str) else list(config.modules)
    if config.first_layer and modules == "all-linear":
        modules = _linear_layers(model)
    layers = range(config.first_layer, model.config.get_text_config().num_hidden_layers)
    if not layers:
        raise UnfitConfiguration(f"The model has no block {config.first_layer} that an adapter could begin with.")
    return peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=modules,
        layers_to_transform=list(layers) if config.first_layer else None,
        task_type=kind,
    )


def _linear_layers(model: nn.Module) -> list[str]:
    """The names of the linear layers, but for the LM head: PEFT takes a choice of blocks beside names alone."""
    linear = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return sorted(linear - {"lm_head"})


class Critic(nn.Module):
    """The value of what was said so far, at each token; shares no weight with the policy.

    The head starts at 0 and stays in float32: before it has learned, the critic says nothing instead of noise.
    """

    def __init__(self, config: Model) -> None:
        super().__init__()
        backbone: Any = AutoModelForCausalLM.from_pretrained(folder_or_name(config), **_loading(config)).base_model
        size = backbone.config.get_text_config().hidden_size
        if config.gradient_checkpointing:
            backbone.gradient_checkpointing_enable()
            backbone.enable_input_require_grads()
        lora = config.lora or (Lora() if config.start_adapter else None)
        self.backbone: Any = (
            peft.get_peft_model(backbone, _lora(lora, "FEATURE_EXTRACTION", backbone)) if lora else backbone
        )
        self.head = nn.Linear(size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(sequences, tokens) values."""
        states = self.backbone(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        with torch.autocast(states.device.type, enabled=False):
            values: Tensor = self.head(states.float()).squeeze(-1)
        return values

    def learned(self) -> dict[str, Tensor]:
        """The weights that training changes."""
        return {name: weight.detach() for name, weight in self.named_parameters() if weight.requires_grad}


def dtype(config: Model) -> torch.dtype:
    """How the weights are held on this machine."""
    if config.dtype == "auto":
        return fastest_dtype(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    held: torch.dtype = getattr(torch, config.dtype)
    return held


def computes_in_bfloat16(config: Model) -> bool:
    return config.autocast and dtype(config) is torch.bfloat16


def _loading(config: Model) -> dict[str, Any]:
    return {
        "revision": config.revision,
        "dtype": dtype(config),
        "attn_implementation": config.attention,
    }


def as_chat(row: Row, marks: Sequence[str]) -> list[dict[str, str]] | str:
    """A prompt without the marks of the chat format in what its messages say, as the service sends it."""
    if isinstance(row.prompt, str):
        return row.prompt
    return [{"role": message.role, "content": _without(marks, message)} for message in row.prompt]


def _without(marks: Sequence[str], message: Message) -> str:
    text = message.content
    for mark in marks:
        text = text.replace(mark, "")
    return text


def prompt_tokens(reader: Any, row: Row) -> list[int]:
    """The tokens that a reply follows."""
    chat = as_chat(row, reader.all_special_tokens)
    if isinstance(chat, str):
        tokens: list[int] = reader(chat)["input_ids"]
        return tokens
    rendered = reader.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=True)
    return list(rendered["input_ids"])


def target_tokens(reader: Any, row: Row) -> list[int]:
    """The tokens of the right reply and of its end. Raises `UnfitConfiguration` where there is none."""
    if row.target is None:
        raise UnfitConfiguration(f"The row {row.id} has no target to learn.")
    return [*reader(row.target, add_special_tokens=False)["input_ids"], reader.eos_token_id]


def in_order(places: Sequence[int], count: int, seed: int) -> list[int]:
    """So many draws: every place once, in an order by chance, then every place again."""
    if not places:
        raise UnfitConfiguration("The task has no rows that could be trained on.")
    chance, order = random.Random(seed), list[int]()
    while len(order) < count:
        order += chance.sample(places, len(places))
    return order[:count]
