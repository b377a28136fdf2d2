"""Random models of the architectures that the paper trained, small enough for one step of everything in a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, trainers
from tokenizers.pre_tokenizers import ByteLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from app.core.rendering import prompt_text
from tests.training_engine import toy

MARKS = ["<|im_end|>", "<|im_start|>"]
ARCHITECTURES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "llama": (LlamaConfig, LlamaForCausalLM),
}


def build(folder: Path, architecture: str) -> Path:
    """A model of two blocks, with a tokenizer that learned its few hundred words from the agents' prompts."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=MARKS, initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    words.train_from_iterator([prompt_text(name) for name in ("extractor", "manager", "answerer")], trainer)
    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=words, eos_token=MARKS[0], pad_token=MARKS[0], additional_special_tokens=MARKS[1:]
    )
    tokenizer.chat_template = toy.TEMPLATE
    configuration, model = ARCHITECTURES[architecture]
    torch.manual_seed(0)
    made = model(
        configuration(
            # With room for the special tokens that an architecture's own tokenizer adds.
            vocab_size=len(tokenizer) + 8,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=16_384,
            eos_token_id=0,
            pad_token_id=0,
            bos_token_id=None,
        )
    )
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
