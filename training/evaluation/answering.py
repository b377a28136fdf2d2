"""The answers of a system, scored; one line a question."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

from app.core import scoring
from app.core.agents import answerer
from app.core.agents.answerer import Answer
from app.core.ports import Completer
from app.core.scoring import Scores
from app.core.trace import Outcome
from app.core.values import Candidate, Completion, Prompt, Role, Usage, Value
from training.data.conversation import Conversation
from training.episode import AnswerEpisode
from training.evaluation.config import EvalConfig, Kind, System
from training.evaluation.exam import category_of, group_of
from training.evaluation.journal import Failure, NoReply
from training.evaluation.losses import Loss, lost
from training.evaluation.systems import Way, Workshop, at_once, chooses
from training.evaluation.turns import RECALL_AT, recall, shown, sources

RANKED = (Kind.BM25, Kind.DENSE, Kind.HYBRID, Kind.ORACLE_BANK, Kind.AGENTS)
"""Systems whose candidates have an order, so that recall at a rank means something."""


class Result(Value):
    """A question with what a system answered."""

    id: str
    conversation: str
    group: str
    """Its category."""
    question: str
    gold: str
    """Empty where the right thing is to abstain."""
    evidence: tuple[str, ...]
    """Turns, by the names that the source gives them."""
    outcome: Outcome | None
    """None: the model failed."""
    failure: Failure | None
    answer: str | None
    distilled: tuple[int, ...]
    candidates: tuple[tuple[str, ...], ...]
    """The source turns of each candidate, best first."""
    shown: int
    """Candidates that the prompt's budget held."""
    left_out: int
    """Candidates that it did not; of the full context, the turns."""
    scores: Scores | None
    """None where the right thing is to abstain; a question without an answer scores 0."""
    recall: dict[str, float | None]
    """The share of the evidence among the best so many candidates, in the prompt, and in the bank at all."""
    loss: Loss | None
    """None where the right thing is to abstain."""
    prompt_version: str
    policy: str
    """As the server calls it."""
    usage: Usage
    seconds: float

    @property
    def is_trap(self) -> bool:
        return self.scores is None


class WithoutChoice:
    """A `Completer` for answers that stand on all candidates.

    The messages are the same; the list of chosen memories is taken out of the reply's schema, so that the model answers
    at once. An empty list in its place would follow the prompt's example of a question that cannot be answered.
    """

    def __init__(self, completer: Completer) -> None:
        self._completer = completer

    async def complete(self, prompt: Prompt) -> Completion:
        """The reply, with an empty list of memories put back. Raises a `ModelError`."""
        schema = prompt.reply_schema
        properties = {name: form for name, form in schema["properties"].items() if name != "memories"}
        asked = schema | {"properties": properties, "required": list(properties)}
        version = f"{prompt.version}-without-choice"
        completion = await self._completer.complete(
            prompt.model_copy(update={"reply_schema": asked, "version": version})
        )
        return completion.model_copy(update={"text": _with_no_memories(completion.text)})


def _with_no_memories(reply: str) -> str:
    try:
        read = json.loads(reply)
    except ValueError:
        return reply
    return json.dumps(read | {"memories": []}) if isinstance(read, dict) else reply


async def results(workshop: Workshop, system: System) -> list[Result]:
    """What the system answers to the conversation's questions. Raises a `ModelError` where embedding fails."""
    sitting = await workshop.sit(system)
    completer: Completer = workshop.completers[Role.ANSWERER, system.answerer]
    if not chooses(system):
        completer = WithoutChoice(completer)
    asked = [partial(_asked, completer, system, episode) for episode in sitting.episodes]
    replies = await at_once(asked, workshop.config.concurrency)
    return [
        _result(workshop.config, system, workshop.conversation, sitting.way, episode, reply)
        for episode, reply in zip(sitting.episodes, replies, strict=True)
    ]


async def _asked(completer: Completer, system: System, episode: AnswerEpisode) -> Completion | Failure | None:
    """As in the service, nothing is asked where a bank has no candidate."""
    if not episode.candidates and system.kind is not Kind.NO_MEMORY:
        return None
    try:
        return await completer.complete(episode.prompt)
    except NoReply as error:
        return error.failure


def _result(
    config: EvalConfig,
    system: System,
    conversation: Conversation,
    way: Way,
    episode: AnswerEpisode,
    reply: Completion | Failure | None,
) -> Result:
    question, candidates = episode.question, episode.candidates
    answer = _read(reply, len(candidates))
    completion = reply if isinstance(reply, Completion) else Completion(text="", policy="")
    in_prompt = shown(episode.prompt, len(candidates))
    names = {turn.id: turn.external_id or str(turn.id) for turn in conversation.turns}
    text = (answer.text if answer else None) or ""
    scores = None if question.is_unanswerable else scoring.score(text, question.answer, category_of(question))
    loss = None
    if scores is not None:
        right = None if answer is None else bool(scores.exact_match) or scores.mem0_f1 >= config.right_at
        chosen = {i for n in answer.distilled for i in candidates[n - 1].memory.sources} if answer else set()
        loss = lost(question.evidence, way, sources(candidates[:in_prompt]), chosen if chooses(system) else None, right)
    return Result(
        id=question.id,
        conversation=conversation.id,
        group=group_of(question),
        question=question.text,
        gold=question.answer,
        evidence=tuple(names[turn] for turn in question.evidence),
        outcome=answer.outcome if answer else None,
        failure=reply if isinstance(reply, Failure) else None,
        answer=answer.text if answer else None,
        distilled=answer.distilled if answer else (),
        candidates=tuple(tuple(names[turn] for turn in candidate.memory.sources) for candidate in candidates),
        shown=in_prompt,
        left_out=(len(conversation.turns) if system.kind is Kind.FULL_CONTEXT else len(candidates)) - in_prompt,
        scores=scores,
        recall=_recall(question.evidence, candidates, in_prompt, way, is_ranked=system.kind in RANKED),
        loss=loss,
        prompt_version=episode.prompt.version,
        policy=completion.policy,
        usage=completion.usage,
        seconds=completion.seconds,
    )


def _read(reply: Completion | Failure | None, candidates: int) -> Answer | None:
    if isinstance(reply, Failure):
        return None
    if reply is None:
        return Answer(outcome=Outcome.ABSTAINED)
    return answerer.parse(reply.text, candidates)


def _recall(
    evidence: Sequence[UUID], candidates: Sequence[Candidate], in_prompt: int, way: Way, *, is_ranked: bool
) -> Mapping[str, float | None]:
    found = {f"@{limit}": candidates[:limit] for limit in RECALL_AT}
    at = {name: recall(evidence, best) if is_ranked else None for name, best in found.items()}
    return at | {
        "in the prompt": recall(evidence, candidates[:in_prompt]),
        "in the bank": scoring.evidence_recall(set(map(str, evidence)), set(map(str, way.kept))),
    }
