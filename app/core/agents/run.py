"""Running an agent: render, complete, parse, and the trace of it; the same for service, evaluation and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from app.core.agents import answerer, extractor, manager
from app.core.agents.answerer import Answer, AnswererOptions, AnswerListener, GrowingReply
from app.core.agents.extractor import Extraction, ExtractorOptions
from app.core.agents.manager import Decision, ManagerOptions
from app.core.ports import Completer, StreamingCompleter
from app.core.trace import Outcome, Trace
from app.core.values import Candidate, Completion, Fact, Memory, Prompt, Turn


async def extract(
    turn: Turn, context: Sequence[Turn], completer: Completer, options: ExtractorOptions
) -> tuple[Extraction, Trace]:
    """The facts of a turn. Raises a `ModelError`."""
    prompt = extractor.render(turn, context, options)
    completion = await completer.complete(prompt)
    extraction = extractor.parse(completion.text, turn, context)
    return extraction, _trace(prompt, completion, extraction.outcome)


async def decide(
    facts: Sequence[Fact], memories: Sequence[Memory], turn: Turn, completer: Completer, options: ManagerOptions
) -> tuple[Decision, Trace]:
    """The operations for a turn's facts against the memories shown. Raises a `ModelError`."""
    prompt = manager.render(facts, memories, turn, options)
    completion = await completer.complete(prompt)
    decision = manager.parse(completion.text, len(facts), len(memories))
    return decision, _trace(prompt, completion, decision.outcome)


async def answer(
    question: str,
    candidates: Sequence[Candidate],
    sources: Mapping[UUID, Turn],
    completer: Completer,
    options: AnswererOptions,
    listener: AnswerListener | None = None,
    *,
    best_guess: bool = False,
) -> tuple[Answer, Trace]:
    """The answer to a question from its candidates, heard while it is made where a listener is given and the completer
    streams. Raises a `ModelError`.
    """
    prompt = answerer.render(question, candidates, sources, options, best_guess=best_guess)
    if listener is not None and isinstance(completer, StreamingCompleter):
        completion = await completer.stream(prompt, GrowingReply(len(candidates), listener))
    else:
        completion = await completer.complete(prompt)
    given = answerer.parse(completion.text, len(candidates))
    return given, _trace(prompt, completion, given.outcome)


def _trace(prompt: Prompt, completion: Completion, outcome: Outcome) -> Trace:
    return Trace(
        role=prompt.role,
        messages=prompt.messages,
        reply=completion.text,
        outcome=outcome,
        policy=completion.policy,
        prompt_version=prompt.version,
        usage=completion.usage,
        seconds=completion.seconds,
    )
