"""The extractor: one turn, with the few turns before it, to facts that stand alone and that the turn supports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.core import dates, grounding, rendering
from app.core.agents import replies
from app.core.changes import MAX_MEMORY_LENGTH, normalise
from app.core.trace import Outcome
from app.core.values import Fact, Message, Prompt, RejectedFact, Role, Turn, Value

MAX_TURN_CHARACTERS = 8000
"""Characters of a turn that are shown; the API accepts no longer turn."""
MAX_CONTEXT_CHARACTERS = 300
"""Characters of each earlier turn."""
MAX_FACTS = 20
"""Facts of one turn that are looked at, whatever the server let pass."""
_FIRST_PERSON = re.compile(r"\b(I|[Mm]y|me|[Ww]e|[Oo]ur)\b")


class ExtractorOptions(BaseModel):
    """How the extractor is asked."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    context_turns: int = Field(4, ge=0, le=20)
    """Earlier turns shown with a turn."""
    max_facts: int = Field(6, ge=1, le=20)
    """Facts read out of one turn at most."""
    max_fact_characters: int = Field(240, ge=40, le=1000)
    """Characters of one fact at most."""


class Extraction(Value):
    """What came of a reply."""

    outcome: Outcome
    facts: tuple[Fact, ...] = ()
    rejected: tuple[RejectedFact, ...] = ()


class _Sentence(BaseModel):
    who: str
    what: str


class _Reply(BaseModel):
    facts: list[_Sentence]


def render(turn: Turn, context: Sequence[Turn], options: ExtractorOptions) -> Prompt:
    """The prompt for one turn; `context` is what was said before it, oldest first."""
    constant = rendering.constant_messages("extractor")
    earlier = list(context)[-options.context_turns :] if options.context_turns else []
    return Prompt(
        role=Role.EXTRACTOR,
        messages=(*constant, Message(role="user", content=_question(turn, earlier))),
        constant=len(constant),
        reply_schema=_schema(turn.speaker, options),
        version=rendering.prompt_version("extractor", options.model_dump_json()),
    )


def parse(reply: str, turn: Turn, context: Sequence[Turn]) -> Extraction:
    """Facts with absolute dates, each supported by the turn; the others are rejected with the reason."""
    read = replies.read(reply, _Reply)
    if read is None:
        return Extraction(outcome=Outcome.MALFORMED)
    facts: dict[str, Fact] = {}
    rejected = []
    for said in read.facts[:MAX_FACTS]:
        text = _standing_alone(said, turn)
        reason = _why_rejected(said.who, text, turn, context)
        if reason:
            rejected.append(RejectedFact(text=text, reason=reason))
        else:
            facts.setdefault(normalise(text), Fact(text=text))
    outcome = Outcome.FACTS if facts else Outcome.NOTHING
    return Extraction(outcome=outcome, facts=tuple(facts.values()), rejected=tuple(rejected))


def _question(turn: Turn, earlier: Sequence[Turn]) -> str:
    """Dates are absolute before the model reads them: small models copy well and calculate badly."""
    said = [f"{t.speaker}: {rendering.one_line(_with_dates(t), MAX_CONTEXT_CHARACTERS)}" for t in earlier]
    last = [f"Last turn, on {rendering.day(turn.said_at)}:", f"{turn.speaker}: {_with_dates(turn)}"]
    return "\n".join(["Earlier:", *(said or ["nothing"]), *last])


def _with_dates(turn: Turn) -> str:
    return dates.make_dates_absolute(turn.text[:MAX_TURN_CHARACTERS], turn.said_at)


def _schema(speaker: str, options: ExtractorOptions) -> dict[str, Any]:
    """Every fact is told of the turn's speaker, so that a weak model cannot give it to somebody else."""
    who = {"type": "string", "enum": [speaker]}
    sentence = rendering.object_schema({"who": who, "what": rendering.text_schema(options.max_fact_characters)})
    return rendering.object_schema({"facts": rendering.list_schema(sentence, options.max_facts)})


def _standing_alone(said: _Sentence, turn: Turn) -> str:
    """The whole sentence with absolute dates; what the speaker says of itself in the first person is quoted."""
    who, what = replies.clean(said.who), dates.make_dates_absolute(replies.clean(said.what), turn.said_at)
    if _FIRST_PERSON.search(what):
        return what if what.startswith(f"{who}:") else f"{who}: {what}"
    if what.startswith("'s "):
        return f"{who}{what}"
    return what if what.lower().startswith((f"{who} ".lower(), f"{who}'s ".lower())) else f"{who} {what}"


def _why_rejected(who: str, text: str, turn: Turn, context: Sequence[Turn]) -> str | None:
    if replies.clean(who) != replies.clean(turn.speaker):
        return "it is told of somebody else than the speaker"
    if len(text) > MAX_MEMORY_LENGTH:
        return f"it is longer than {MAX_MEMORY_LENGTH} characters"
    around = " ".join(f"{t.speaker} {t.text} {_with_dates(t)}" for t in context)
    known = f"{around} {turn.speaker} {rendering.day(turn.said_at)}"
    return grounding.why_ungrounded(text, f"{turn.text} {_with_dates(turn)}", known)
