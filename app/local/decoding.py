"""Constrained generation for a changing set of rows: each joins alone, all take a step together.

What the schema forces (keys, braces, the rest of an enum's value) is never sampled: it goes through the model in the
same pass as the sampled token before it. The constant first messages of a prompt go through the model once, and once
more under each adapter: what a layer makes of them is the adapter's too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.core.errors import ModelRefused, ReplyCutOff
from app.core.values import Message, Prompt
from app.local.adapters import Adapters
from app.local.constrain import Grammar, Vocabulary
from app.local.model import hide_progress_bars
from app.local.slots import GROUPED_ATTENTION, KeyValueSlots, Prefix

PREFILL_TOKENS = 512
"""Tokens of a prompt in one pass; bounds the memory of activations and masks."""
STEP_TOKENS = 32
"""Tokens of a row in one common step; a longer forced run takes several."""
KEPT_PREFIXES = 6
"""Constant parts whose keys and values are kept: a few roles, in an old and a new version."""


@dataclass(eq=False)
class Row:
    """One reply in the making."""

    prompt_tokens: int
    max_tokens: int
    grammar: Grammar
    adapter: str | None = None
    """Name of the adapter that it is made under; None: the model as it is."""
    length: int = 0
    """Tokens whose keys and values are stored."""
    pending: list[int] = field(default_factory=list)
    """Tokens that are known, but did not go through the model yet."""
    reply: list[int] = field(default_factory=list)
    ended: bool = False

    def extend(self, tokens: list[int]) -> None:
        self.reply += tokens
        self.pending += tokens
        self.ended = self.grammar.complete

    @property
    def finished(self) -> bool:
        """True where the reply is complete or too long."""
        return self.ended or len(self.reply) >= self.max_tokens

    def text(self) -> str:
        """The reply. Raises `ReplyCutOff` or `BrokenReply`."""
        if not self.ended or len(self.reply) > self.max_tokens:
            raise ReplyCutOff(f"The reply was cut off at {self.max_tokens} tokens.")
        return self.grammar.read(self.reply)


class Decoder:
    """A model with its rows. Not thread-safe: one thread makes it and calls it."""

    def __init__(
        self,
        model: Path | str,
        *,
        max_batch: int = 8,
        max_context: int = 8192,
        temperature: float = 0.0,
        seed: int = 0,
        keep_prefixes: bool = True,
        dtype: torch.dtype | None = None,
    ) -> None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._tokenizer = AutoTokenizer.from_pretrained(model)
        self._model = _load(model, device, dtype or fastest_dtype(device))
        config = self._model.config
        _refuse_other_attention(config)
        ends = self._model.generation_config.eos_token_id or self._tokenizer.eos_token_id
        self._vocabulary = Vocabulary(self._tokenizer, config.vocab_size, ends if isinstance(ends, list) else [ends])
        self.max_context = min(max_context, config.max_position_embeddings)
        self._device = device
        # The rows of one pass are as wide as the widest: the last columns take what is too much in the others.
        like = torch.empty(0, dtype=self._model.dtype, device=device)
        self._slots = KeyValueSlots(config, max_batch, self.max_context + STEP_TOKENS, like)
        self._temperature = temperature
        self._random = torch.Generator(device).manual_seed(seed)
        self._keep_prefixes = keep_prefixes
        self._prefixes: OrderedDict[tuple[str | None, tuple[Message, ...]], Prefix] = OrderedDict()
        self.adapters = Adapters(self._model)
        self.rows: list[Row] = []

    @torch.inference_mode()
    def join(self, prompt: Prompt, max_tokens: int, adapter: str | None = None) -> Row:
        """Read a prompt, under a loaded adapter or none, and sample its first token. Raises `ModelRefused`."""
        tokens = self._tokens(prompt.messages, for_reply=True)
        if len(tokens) + max_tokens > self.max_context:
            raise ModelRefused(
                f"The prompt has {len(tokens)} tokens and the reply may have {max_tokens}; "
                f"together they may have {self.max_context}."
            )
        row = Row(len(tokens), max_tokens, self._vocabulary.grammar(prompt.reply_schema), adapter)
        row.extend(row.grammar.forced())
        if not row.finished:
            self._read(row, prompt.messages[: prompt.constant], tokens)
        self.rows.append(row)
        return row

    @torch.inference_mode()
    def step(self) -> None:
        """One pass for all rows that are not finished; call `leave` for those that are first."""
        last = self._pass(slice(0, len(self.rows)), [row.pending[:STEP_TOKENS] for row in self.rows], self.rows)
        self._advance(self.rows, last)

    @torch.inference_mode()
    def leave(self, row: Row) -> None:
        """Free a row's place; the last row moves there."""
        place, end = self.rows.index(row), len(self.rows) - 1
        if place != end:
            self._slots.copy_row(end, place, self.rows[end].length)
            self.rows[place] = self.rows[end]
        self.rows.pop()

    def _read(self, row: Row, constant: tuple[Message, ...], tokens: list[int]) -> None:
        """Put a prompt and what it forces through the model in the next free place, and sample what follows."""
        place = len(self.rows)
        key = (row.adapter, constant)
        kept = self._prefixes.get(key)
        if kept:
            row.length = len(common_prefix(kept.tokens, tokens[:-1]))
            self._slots.restore(place, kept, row.length)
        row.pending = tokens[row.length :] + row.pending
        rows = slice(place, place + 1)
        while len(row.pending) > PREFILL_TOKENS:
            self._pass(rows, [row.pending[:PREFILL_TOKENS]], [row])
        self._advance([row], self._pass(rows, [row.pending], [row]))
        if constant and self._keep_prefixes:
            self._prefixes[key] = kept or self._slots.save(place, common_prefix(self._tokens(constant), tokens))
            self._prefixes.move_to_end(key)
            if len(self._prefixes) > KEPT_PREFIXES:
                self._prefixes.popitem(last=False)

    def _tokens(self, messages: Sequence[Message], *, for_reply: bool = False) -> list[int]:
        chat = [{"role": message.role, "content": self._without_marks(message.content)} for message in messages]
        text = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=for_reply)
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return tokens

    def _without_marks(self, text: str) -> str:
        """The text without the marks of the chat format: what a user says cannot open a message of its own."""
        for mark in self._tokenizer.all_special_tokens:
            text = text.replace(mark, "")
        return text

    def _pass(self, place: slice, chunks: list[list[int]], rows: Sequence[Row]) -> Tensor:
        """Put a chunk of tokens of each row through the model: (rows, vocabulary) logits after each chunk's last."""
        width = max(len(chunk) for chunk in chunks)
        ids = torch.tensor([chunk + [0] * (width - len(chunk)) for chunk in chunks], device=self._device)
        lengths = torch.tensor([row.length for row in rows], device=self._device)
        positions = lengths[:, None] + torch.arange(width, device=self._device)
        mask = self._slots.aim(place, positions)
        self.adapters.aim([row.adapter for row in rows])
        states = self._model.base_model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=self._slots, use_cache=True
        ).last_hidden_state
        last = torch.tensor([len(chunk) - 1 for chunk in chunks], device=self._device)
        for row, chunk in zip(rows, chunks, strict=True):
            row.length += len(chunk)
            row.pending = row.pending[len(chunk) :]
        logits: Tensor = self._model.get_output_embeddings()(states[torch.arange(len(chunks)), last]).float()
        if not logits.isfinite().all():
            raise ArithmeticError("The model's logits are not finite.")
        return logits

    def _advance(self, rows: Sequence[Row], logits: Tensor) -> None:
        """Sample each row's next token, and add what it forces."""
        for row, scores in zip(rows, logits, strict=True):
            if row.pending:
                continue
            token = self._sample(scores, torch.from_numpy(row.grammar.allowed()))
            if token in self._vocabulary.end_tokens:
                row.ended = True
                continue
            row.grammar.accept(token)
            row.extend([token, *row.grammar.forced()])

    def _sample(self, scores: Tensor, allowed: Tensor) -> int:
        scores = scores.masked_fill(~allowed.to(self._device), -torch.inf)
        if self._temperature == 0:
            return int(scores.argmax())
        chances = torch.softmax(scores / self._temperature, dim=-1)
        return int(torch.multinomial(chances, 1, generator=self._random))


def _load(model: Path | str, device: torch.device, dtype: torch.dtype) -> Any:
    hide_progress_bars()
    loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=dtype, attn_implementation=GROUPED_ATTENTION)
    return loaded.to(device).eval()


def fastest_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor computes in it; elsewhere float32, which is several times faster there."""
    if device.type != "cpu":
        return torch.bfloat16
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("bf16") else torch.float32


def common_prefix(left: list[int], right: list[int]) -> list[int]:
    """The first tokens that both have."""
    length = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    return left[:length]


def _refuse_other_attention(config: Any) -> None:
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise ModelRefused(f"Only models with full attention can run in process, not {', '.join(sorted(kinds))}.")
