"""Asking a bank."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from app.api.dependencies import REPLAYED, BankOf, CallerOf, OnceOf, ServiceOf, note_replay
from app.api.guarded import GuardedRoute
from app.api.openapi import OF_BANK, OF_MODEL, WITH_BODY, Responses, problems
from app.api.schemas import Question
from app.services import answer
from app.services.answer import Answered

router = APIRouter(
    prefix="/v1/banks/{bank}", tags=["answers"], responses=problems(401, 503, *OF_BANK), route_class=GuardedRoute
)

_ANSWERED: Responses = {200: {"headers": REPLAYED}}


@router.post(
    "/answer",
    operation_id="answer_question",
    responses=_ANSWERED | problems(429, *WITH_BODY, *OF_MODEL),
)
async def answer_question(
    body: Question, key: BankOf, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> Answered:
    """Answer from the bank, with the memories and turns that the answer stands on; `abstained` where it cannot tell."""
    answered = await answer.ask(service, key, body.question, once, caller, body.as_of)
    note_replay(response, once)
    return answered


@router.get("/answers/{answer_id}", operation_id="get_answer")
async def get_answer(answer_id: UUID, key: BankOf, service: ServiceOf) -> Answered:
    """An earlier answer, as it was given."""
    return await answer.read(service.sessions, key, answer_id)
