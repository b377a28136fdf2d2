"""What a grammar lets a reply be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from app.core.errors import BrokenReply, ModelRefused
from app.core.rendering import text_schema
from app.local.constrain import Grammar, Vocabulary
from tests.local.prompts import closed, text


@pytest.fixture(scope="module")
def tokenizer(small_model_dir: Path) -> Any:
    return AutoTokenizer.from_pretrained(small_model_dir)


@pytest.fixture(scope="module")
def vocabulary(tokenizer: Any) -> Vocabulary:
    return Vocabulary(tokenizer, len(tokenizer), [tokenizer.eos_token_id])


def accepts(grammar: Grammar, tokens: list[int]) -> bool:
    """Whether the grammar allows these tokens, one by one, and is complete after them."""
    for token in tokens:
        if not grammar.allowed()[token]:
            return False
        grammar.accept(token)
    return grammar.complete


@pytest.mark.parametrize(
    "value", ["plain", "Zoë, Žilina, 東京 🙂", 'with "quotes" and \\', "two\nlines\tand a tab", "nbsp\u00a0\u2028"]
)
def test_any_text_can_be_said(vocabulary: Vocabulary, tokenizer: Any, value: str) -> None:
    said = json.dumps({"text": value}, ensure_ascii=False, separators=(",", ":"))
    tokens = tokenizer(said, add_special_tokens=False).input_ids
    grammar = vocabulary.grammar(closed({"text": text(1, 60)}))
    assert accepts(grammar, tokens)
    assert json.loads(grammar.read(tokens)) == {"text": value}


@pytest.mark.parametrize(
    "said",
    ['{"text": "a"}', '{ "text":"a"}', '{"text":"a"}\n', '{"text":""}', '{"text":"abcdef"}', '{"text":"a","b":1}'],
    ids=["a space", "another space", "a line feed", "too short", "too long", "one key more"],
)
def test_what_the_schema_excludes_cannot_be_said(vocabulary: Vocabulary, tokenizer: Any, said: str) -> None:
    tokens = tokenizer(said, add_special_tokens=False).input_ids
    grammar = vocabulary.grammar(closed({"text": text(1, 5)}))
    assert not accepts(grammar, tokens)


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        (r'{"text":" read \"Emma\"."}', True),
        ('{"text":" read "}', False),
        (json.dumps({"text": "é" * 20}, ensure_ascii=False, separators=(",", ":")), True),
        (json.dumps({"text": "é" * 21}, ensure_ascii=False, separators=(",", ":")), False),
    ],
    ids=["quoted words", "an end where the quoted words begin", "as long as may be", "too long"],
)
def test_a_text_does_not_end_at_a_quotation_mark(
    vocabulary: Vocabulary, tokenizer: Any, said: str, allowed: bool
) -> None:
    tokens = tokenizer(said, add_special_tokens=False).input_ids
    assert accepts(vocabulary.grammar(closed({"text": text_schema(20)})), tokens) is allowed


def test_forced_tokens_are_the_schemas_own_words(vocabulary: Vocabulary) -> None:
    grammar = vocabulary.grammar(closed({"operations": {"enum": ["ADD", "NOOP"]}}))
    assert vocabulary.decode(grammar.forced()).startswith('{"operations":')
    assert grammar.forced() == []


def test_a_schema_that_cannot_be_enforced_is_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(ModelRefused, match="cannot be enforced"):
        vocabulary.grammar({"type": "object", "propertyNames": 3})


def test_a_token_that_is_not_allowed_breaks_the_reply(vocabulary: Vocabulary, tokenizer: Any) -> None:
    grammar = vocabulary.grammar(closed({"text": text()}))
    with pytest.raises(BrokenReply):
        grammar.accept(tokenizer("no", add_special_tokens=False).input_ids[0])


def test_half_a_reply_is_broken(vocabulary: Vocabulary, tokenizer: Any) -> None:
    grammar = vocabulary.grammar(closed({"text": text()}))
    with pytest.raises(BrokenReply, match="not JSON"):
        grammar.read(tokenizer('{"text":"a', add_special_tokens=False).input_ids)
