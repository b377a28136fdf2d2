"""Replies constrained to a JSON schema: which tokens may come next, and which must."""

from __future__ import annotations

import json
from typing import Any

import llguidance.hf
import numpy as np
from llguidance import LLMatcher
from numpy.typing import NDArray

from app.core.errors import BrokenReply, ModelRefused


class Grammar:
    """The state of one reply inside its schema."""

    def __init__(self, matcher: LLMatcher, vocabulary: Vocabulary) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary

    @property
    def complete(self) -> bool:
        """True where nothing can follow: the JSON text is closed."""
        return bool(self._matcher.is_stopped())

    def allowed(self) -> NDArray[np.bool_]:
        """For each token, whether it may come next."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(bits, count=self._vocabulary.size, bitorder="little").astype(np.bool_)

    def accept(self, token: int) -> None:
        """Move on by a sampled token."""
        if not self._matcher.consume_token(token):
            raise BrokenReply("The reply left the grammar.")

    def forced(self) -> list[int]:
        """The tokens that must come next (keys, braces, the rest of an enum's value), already moved past."""
        tokens: list[int] = self._matcher.compute_ff_tokens()
        if tokens and not self._matcher.consume_tokens(tokens):
            raise BrokenReply("The reply left the grammar.")
        return tokens

    def read(self, tokens: list[int]) -> str:
        """The reply's text. Raises `BrokenReply` where it is not JSON."""
        try:
            text = self._vocabulary.decode(tokens)
            json.loads(text)
        except ValueError as error:
            raise BrokenReply(f"The reply is not JSON: {error}") from error
        return text

    def bytes_of(self, tokens: list[int]) -> bytes:
        """Some tokens of the reply as UTF-8, which may begin and end in the middle of a character."""
        return self._vocabulary.bytes_of(tokens)


class Vocabulary:
    """A tokenizer as grammars need it; made once, since it takes a second."""

    def __init__(self, tokenizer: Any, size: int, end_tokens: list[int]) -> None:
        self.size = size
        self.end_tokens = frozenset(end_tokens)
        self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=size, eos_token=end_tokens)

    def grammar(self, schema: dict[str, Any]) -> Grammar:
        """A grammar at its start. Raises `ModelRefused` for a schema that cannot be enforced."""
        # Free whitespace would let a weak model fill its whole budget with it.
        source = LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
        matcher = LLMatcher(self._tokenizer, source)
        if matcher.is_error():
            raise ModelRefused("The reply schema cannot be enforced.")
        return Grammar(matcher, self)

    def decode(self, tokens: list[int]) -> str:
        """The text of tokens, byte by byte: a character may be spread over several."""
        return self.bytes_of(tokens).decode("utf-8")

    def bytes_of(self, tokens: list[int]) -> bytes:
        """The bytes of tokens."""
        found: bytes = self._tokenizer.decode_bytes(tokens)
        return found
