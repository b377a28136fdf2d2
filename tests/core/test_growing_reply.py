"""What is told of a reply while it is made is what is made of it in the end."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.agents import answerer
from app.core.agents.answerer import GrowingReply

CANDIDATES = 12


class Heard:
    """What an `AnswerListener` was told."""

    def __init__(self) -> None:
        self.ordinals: list[tuple[int, ...]] = []
        self.text = ""
        self.voids = 0

    def distilled(self, ordinals: tuple[int, ...]) -> None:
        assert not self.text
        self.ordinals.append(ordinals)

    def said(self, text: str) -> None:
        assert text
        assert self.ordinals
        self.text += text

    def void(self) -> None:
        self.ordinals, self.text = [], ""
        self.voids += 1


def cut(reply: str, places: list[int]) -> list[str]:
    ends = sorted({place % (len(reply) + 1) for place in places} | {0, len(reply)})
    return [reply[start:end] for start, end in pairwise(ends)]


def hear(pieces: list[str]) -> Heard:
    heard = Heard()
    growing = GrowingReply(CANDIDATES, heard)
    for piece in pieces:
        growing.text(piece)
    return heard


@given(
    memories=st.lists(st.integers(1, CANDIDATES), max_size=8),
    answer=st.text(),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
    places=st.lists(st.integers(0, 10_000)),
)
@example([1, 12], '😀 "quoted" \\ \u2028 Žilina\x00\ud7ff \t end', True, None, list(range(200)))
@example([1, 12], '😀 "quoted" \\ \u2028 Žilina\x00\ud7ff \t end', False, 1, list(range(200)))
@example([], "x" * 4100, False, None, [4001])
def test_a_reply_that_is_cut_anywhere_gives_the_same(
    memories: list[int], answer: str, ascii_only: bool, indent: int | None, places: list[int]
) -> None:
    reply = json.dumps({"memories": memories, "answer": answer}, ensure_ascii=ascii_only, indent=indent)
    heard, parsed = hear(cut(reply, places)), answerer.parse(reply, CANDIDATES)
    assert heard.text == (parsed.text or "")
    assert heard.ordinals == [parsed.distilled]
    assert heard.voids == 0


@given(answer=st.text(min_size=1), at=st.integers(0, 10_000))
def test_what_was_told_is_always_the_beginning_of_the_end(answer: str, at: int) -> None:
    reply = json.dumps({"memories": [3], "answer": answer})
    part, whole = hear([reply[: at % len(reply)]]), hear([reply])
    assert whole.text.startswith(part.text)
    assert part.ordinals in ([], whole.ordinals)


@pytest.mark.parametrize(
    "reply",
    [
        {"memories": [13], "answer": "out of range"},
        {"memories": [0], "answer": "out of range"},
        {"memories": ["1"], "answer": "no number"},
        {"memories": [True], "answer": "no number"},
        {"memories": None, "answer": "no list"},
        {"memories": [1], "answer": ["no text"]},
        {"memories": [1], "answer": None},
        {"answer": "the wrong way round", "memories": [1]},
        {"memories": [1], "why": "unknown", "answer": "x"},
        ["memories", "answer"],
    ],
)
def test_of_a_reply_that_is_none_nothing_is_told(reply: Any) -> None:
    heard = hear(list(json.dumps(reply)))
    assert (heard.ordinals, heard.text) == ([], "")


@given(st.lists(st.text()))
def test_garbage_does_nothing(pieces: list[str]) -> None:
    assert hear(pieces).text == ""


def test_a_reply_that_begins_anew_takes_back_what_was_told() -> None:
    heard = Heard()
    growing = GrowingReply(CANDIDATES, heard)
    growing.restart()
    assert heard.voids == 0
    growing.text('{"memories":[1],"answer":"Bud')
    growing.restart()
    growing.text('{"memories":[2],"answer":"Scout"}')
    assert (heard.ordinals, heard.text, heard.voids) == ([(2,)], "Scout", 1)


def test_an_endless_reply_is_not_read_for_ever() -> None:
    heard = Heard()
    growing = GrowingReply(CANDIDATES, heard)
    for piece in ['{"memories":[1],"answer":"', *[" " * 1000] * 100]:
        growing.text(piece)
    growing.text("x")
    assert heard.text == ""
