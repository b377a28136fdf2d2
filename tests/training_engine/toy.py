"""A model that is small enough to be trained in a test, and a task that it can learn: to write small letters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from app.core.values import Message
from training.config import Checkpoints, Grpo, Log, Lora, Model, Ppo, Rollout, Sft, TrainingConfig
from training.engine import Reward, Row

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
REPLY_TOKENS = 8


def build(folder: Path) -> Path:
    """A random Qwen2 of about 100,000 weights over bytes, with its tokenizer."""
    marks = ["<|im_end|>", "<|im_start|>"]
    vocabulary = {token: place for place, token in enumerate([*marks, *sorted(ByteLevel.alphabet())])}
    letters = Tokenizer(models.BPE(vocabulary, []))
    letters.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    letters.decoder = decoders.ByteLevel()
    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=letters, eos_token=marks[0], pad_token=marks[0], additional_special_tokens=marks[1:]
    )
    tokenizer.chat_template = TEMPLATE
    config = Qwen2Config(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=False,
        eos_token_id=0,
        pad_token_id=0,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        # The final norm bounds the logits of a fresh model so much that an adapter could hardly change its choices.
        model.lm_head.weight.mul_(10)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def prompt(text: str) -> tuple[Message, ...]:
    return (Message(role="system", content="Write."), Message(role="user", content=text))


def rows(count: int = 12) -> list[Row]:
    """Prompts of several lengths."""
    return [Row(f"row-{n}", prompt("?" * (n % 4) + str(n)), target="yes", columns={"n": n}) for n in range(count)]


def small_letters(reply: str, row: Row) -> Reward | None:
    """The share of small letters; about a tenth by chance."""
    share = sum("a" <= letter <= "z" for letter in reply) / REPLY_TOKENS
    return Reward(share, {"small_letters": share, "length": float(len(reply))})


@dataclass
class Toy:
    """A task with any rows and any reward; remembers what it was asked."""

    rows: Sequence[Row] = field(default_factory=rows)
    score: Callable[[str, Row], Reward | None] = small_letters
    asked: list[tuple[str, Row]] = field(default_factory=list)

    async def reward(self, completion: str, row: Row) -> Reward | None:
        await asyncio.sleep(0)
        self.asked.append((completion, row))
        return self.score(completion, row)


def config(folder: Path, **sections: Any) -> TrainingConfig:
    """Two prompts of eight replies a round, of at most eight tokens."""
    usual: dict[str, Any] = {
        "model": Model(name=str(folder)),
        "rollout": Rollout(prompts=2, replies=8, max_reply_tokens=REPLY_TOKENS),
        "grpo": Grpo(rounds=12, learning_rate=1e-2, micro_batch=16),
        "ppo": Ppo(rounds=16, learning_rate=5e-3, critic_learning_rate=5e-3, micro_batch=16),
        "sft": Sft(rounds=12, learning_rate=1e-2, batch=4, micro_batch=2),
        "log": Log(progress=False, tensorboard=False, plots=False),
        "checkpoints": Checkpoints(every=100),
    }
    return TrainingConfig(**(usual | sections))


LORA = Lora(rank=8, alpha=16)
