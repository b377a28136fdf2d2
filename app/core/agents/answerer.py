"""The Answer Agent: a question and its candidates, to the distilled memories first and then the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core import rendering
from app.core.agents import replies
from app.core.trace import Outcome
from app.core.values import Candidate, Message, Prompt, Role, Turn, Value

MAX_CANDIDATES = 60
"""Memory-R1, Algorithm 2: 30 for each of two participants."""
MAX_ANSWER_CHARACTERS = 4000
"""Characters of an answer, whatever the server let pass."""
MAX_SOURCE_CHARACTERS = 400
"""Characters of one source turn."""
MAX_HEARD_CHARACTERS = 8 * MAX_ANSWER_CHARACTERS
"""Characters of a reply that are read while it is made; JSON may take six for one."""

BEST_GUESS = "-best-guess"
"""What the version of a prompt ends in whose reply may not abstain."""


class AnswererOptions(BaseModel):
    """How the Answer Agent is asked."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    candidates: int = Field(MAX_CANDIDATES, ge=1, le=MAX_CANDIDATES)
    """Memories retrieved for a question."""
    attach_sources: bool = True
    """Show the words that the candidates came from."""
    max_distilled: int = Field(8, ge=1, le=MAX_CANDIDATES)
    """Memories chosen at most."""
    max_answer_characters: int = Field(300, ge=20, le=MAX_ANSWER_CHARACTERS)
    """Characters of the answer at most."""
    max_prompt_characters: int = Field(16000, ge=1000, le=400_000)
    """Characters of candidates and sources; the lowest ranked lose first their sources, then their place."""


class Answer(Value):
    """What came of a reply."""

    outcome: Outcome
    text: str | None = None
    """None where the bank does not tell."""
    distilled: tuple[int, ...] = ()
    """Ordinals of the candidates that were chosen, from 1."""


class _Reply(BaseModel):
    memories: list[int]
    answer: str | None


def render(
    question: str,
    candidates: Sequence[Candidate],
    sources: Mapping[UUID, Turn],
    options: AnswererOptions,
    *,
    best_guess: bool = False,
) -> Prompt:
    """The prompt for one question; `sources` are the candidates' turns by id (empty: none are attached).

    For a best guess the messages are the same, and the reply's schema has no way to abstain.
    """
    constant = rendering.constant_messages("answerer")
    heads = _heads(candidates, options)
    lines = _with_sources(heads, candidates, sources, options)
    content = "\n".join(["Memories:", *(lines or ["none"]), f"Question: {' '.join(question.split())}"])
    return Prompt(
        role=Role.ANSWERER,
        messages=(*constant, Message(role="user", content=content)),
        constant=len(constant),
        reply_schema=_schema(max(1, len(heads)), options, best_guess),
        version=rendering.prompt_version("answerer", options.model_dump_json()) + (BEST_GUESS if best_guess else ""),
    )


def parse(reply: str, candidates: int) -> Answer:
    """The answer of a reply to a prompt with so many candidates."""
    read = replies.read(reply, _Reply)
    if read is None or any(not 1 <= ordinal <= candidates for ordinal in read.memories):
        return Answer(outcome=Outcome.MALFORMED)
    distilled = tuple(dict.fromkeys(read.memories))
    text = replies.clean(read.answer or "")[:MAX_ANSWER_CHARACTERS]
    if not text:
        return Answer(outcome=Outcome.ABSTAINED, distilled=distilled)
    return Answer(outcome=Outcome.ANSWERED, text=text, distilled=distilled)


class AnswerListener(Protocol):
    """Hears an answer while it is made. No call raises anything."""

    def distilled(self, ordinals: tuple[int, ...]) -> None:
        """Ordinals of the candidates that were chosen, from 1, all of them."""
        ...

    def said(self, text: str) -> None:
        """The next characters of the answer."""
        ...

    def void(self) -> None:
        """What was heard so far does not hold."""
        ...


class GrowingReply:
    """The `Listener` port: takes the distilled memories and the answer out of a reply while it is made.

    It tells what `parse` would make of the reply if that went on as its schema says; of a reply that does not, nothing
    more. Memories are told once the answer begins after them, since then their list is closed.
    """

    def __init__(self, candidates: int, listener: AnswerListener) -> None:
        self._candidates, self._listener = candidates, listener
        self._reply = ""
        self._has_begun = False
        self._said = 0

    def text(self, piece: str) -> None:
        if len(self._reply) >= MAX_HEARD_CHARACTERS:
            return
        self._reply += piece
        read = replies.read_beginning(self._reply)
        ordinals, answer = read.get("memories"), read.get("answer")
        if list(read) == ["memories", "answer"] and isinstance(answer, str) and self._are_ordinals(ordinals):
            self._tell(ordinals, replies.clean(answer)[:MAX_ANSWER_CHARACTERS])

    def restart(self) -> None:
        if self._has_begun:
            self._listener.void()
        self._reply, self._has_begun, self._said = "", False, 0

    def _tell(self, ordinals: Any, text: str) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._listener.distilled(tuple(dict.fromkeys(ordinals)))
        if len(text) > self._said:
            self._listener.said(text[self._said :])
            self._said = len(text)

    def _are_ordinals(self, read: Any) -> bool:
        return isinstance(read, list) and all(type(one) is int and 1 <= one <= self._candidates for one in read)


def _heads(candidates: Sequence[Candidate], options: AnswererOptions) -> list[str]:
    """A line for each candidate, as many as the budget of characters holds."""
    heads = [
        f"{n}. ({rendering.day(c.memory.said_at)}, {c.memory.speaker}) {c.memory.text}"
        for n, c in enumerate(candidates, start=1)
    ]
    left = options.max_prompt_characters - sum(len(head) + 1 for head in heads)
    while heads and left < 0:
        left += len(heads.pop()) + 1
    return heads


def _with_sources(
    heads: Sequence[str], candidates: Sequence[Candidate], sources: Mapping[UUID, Turn], options: AnswererOptions
) -> list[str]:
    """Each candidate with its source turns, a turn shown once, within what the budget has left."""
    left = options.max_prompt_characters - sum(len(head) + 1 for head in heads)
    lines: list[str] = []
    seen: set[UUID] = set()
    for head, candidate in zip(heads, candidates, strict=False):
        lines.append(head)
        for turn in [sources[i] for i in candidate.memory.sources if i in sources and i not in seen]:
            line = f"> {turn.speaker}: {rendering.one_line(turn.text, MAX_SOURCE_CHARACTERS)}"
            if len(line) + 1 <= left:
                seen.add(turn.id)
                lines.append(line)
                left -= len(line) + 1
    return lines


def _schema(candidates: int, options: AnswererOptions, best_guess: bool) -> dict[str, Any]:
    ordinal = {"type": "integer", "enum": list(range(1, candidates + 1))}
    text = rendering.text_schema(options.max_answer_characters)
    most, least = min(candidates, options.max_distilled), int(best_guess)
    return rendering.object_schema(
        {
            "memories": rendering.list_schema(ordinal, most, least),
            "answer": text if best_guess else {"anyOf": [text, {"type": "null"}]},
        }
    )
