"""Random adapters in PEFT's form, for a tiny model."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import peft
import torch
from transformers import AutoModelForCausalLM

from app.local.model import hide_progress_bars


def make_adapter(model_dir: Path, folder: Path, seed: int, **options: Any) -> Path:
    """An adapter that changes what the model says; saved as PEFT saves it."""
    hide_progress_bars()
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    chosen: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    with warnings.catch_warnings():
        # PEFT asks transformers by a name that is on its way out.
        warnings.simplefilter("ignore", FutureWarning)
        adapted = peft.get_peft_model(model, peft.LoraConfig(**(chosen | options)))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3)
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


def merged(model_dir: Path, adapter: Path | None) -> Any:
    """The model with an adapter merged into its weights by PEFT."""
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    if adapter is None:
        return model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return peft.PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
