"""Asking a bank."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from app.api.dependencies import REPLAYED, BankOf, CallerOf, OnceOf, ServiceOf, note_replay, replayed
from app.api.guarded import GuardedRoute
from app.api.openapi import OF_BANK, OF_MODEL, WITH_BODY, Responses, problems
from app.api.schemas import Question
from app.api.streaming import EVENT_STREAM, EventStream, Tell, wants_events
from app.api.streaming_schemas import CandidatesEvent, DistilledEvent, DoneEvent, ResetEvent, TokenEvent
from app.services import answer
from app.services.answer import Answered
from app.services.answer_events import AnswerCandidates, AnswerDistilled, AnswerNews, AnswerToken, Telling

router = APIRouter(
    prefix="/v1/banks/{bank}", tags=["answers"], responses=problems(401, 503, *OF_BANK), route_class=GuardedRoute
)

_EVENTS = {"schema": {"$ref": "#/components/schemas/AnswerEvent"}}
_ANSWERED: Responses = {200: {"headers": REPLAYED, "content": {EVENT_STREAM: _EVENTS}}}


@router.post(
    "/answer",
    operation_id="answer_question",
    response_model=Answered,
    responses=_ANSWERED | problems(429, *WITH_BODY, *OF_MODEL),
)
async def answer_question(
    body: Question,
    key: BankOf,
    caller: CallerOf,
    service: ServiceOf,
    once: OnceOf,
    request: Request,
    response: Response,
) -> Answered | EventStream:
    """Answer from the bank, with the memories and turns that the answer stands on; `abstained` where it cannot tell,
    unless a best guess is asked for.

    With `Accept: text/event-stream` it is told as it is made: `candidates`, `distilled`, a `token` for each piece of
    the text, and `done`, whose data is what is answered otherwise. After `reset`, memories and text come anew. Where
    something fails after the first event, the last is `error`, with a problem.
    """

    async def ask(told: Telling | None = None) -> Answered:
        return await answer.ask(service, key, body.question, once, caller, body.as_of, told, best_guess=body.best_guess)

    async def tell_all(told: Tell) -> DoneEvent:
        telling = Telling(lambda news: told.put_nowait(_event_of(news)))
        return DoneEvent(data=await ask(telling))

    if wants_events(request):
        return await EventStream(request, tell_all).begun(lambda: replayed(once))
    answered = await ask()
    note_replay(response, once)
    return answered


@router.get("/answers/{answer_id}", operation_id="get_answer")
async def get_answer(answer_id: UUID, key: BankOf, service: ServiceOf) -> Answered:
    """An earlier answer, as it was given."""
    return await answer.read(service.sessions, key, answer_id)


def _event_of(news: AnswerNews) -> CandidatesEvent | DistilledEvent | TokenEvent | ResetEvent:
    match news:
        case AnswerCandidates():
            return CandidatesEvent(data=news)
        case AnswerDistilled():
            return DistilledEvent(data=news)
        case AnswerToken():
            return TokenEvent(data=news)
        case _:
            return ResetEvent(data=news)
