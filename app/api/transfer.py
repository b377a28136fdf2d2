"""Taking a bank out as a file, and making one from a file."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.api.dependencies import REPLAYED, BankName, CallerOf, IdempotencyKey, ServiceOf, note_replay, once_of
from app.api.guarded import GuardedRoute
from app.api.openapi import Responses, problems
from app.core.errors import ErasedMeanwhile, InvalidInput
from app.services import transfer_export, transfer_import
from app.services.callers import Caller
from app.services.once import Once
from app.services.service import Service
from app.services.transfer_import import Imported

log = logging.getLogger(__name__)

router = APIRouter(
    prefix="/v1/banks/{bank}", tags=["transfer"], responses=problems(401, 422, 429, 503), route_class=GuardedRoute
)

NDJSON = "application/x-ndjson"
_FILE = {"schema": {"type": "string", "contentMediaType": NDJSON}}
_EXPORTED: Responses = {200: {"description": "The bank, one JSON object a line.", "content": {NDJSON: _FILE}}}

_IMPORTED: Responses = {201: {"headers": REPLAYED}}


class Export(Response):
    """Streams a bank while its snapshot is open; a reader that is slow, or gone, is cut off."""

    media_type = NDJSON

    def __init__(self, service: Service, caller: Caller, name: str) -> None:
        super().__init__(headers={"Content-Disposition": f'attachment; filename="{name}.ndjson"'})
        del self.headers["content-length"]
        self._service, self._caller, self._name = service, caller, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with transfer_export.exported(self._service, self._caller, self._name) as chunks:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            gone = asyncio.create_task(_until_gone(receive))
            try:
                async with asyncio.timeout(self._service.settings.server.transfer_seconds):
                    async for chunk in chunks:
                        if gone.done():
                            return
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except TimeoutError:
                # Without its last line, and without the end that the protocol has: nobody takes it for whole.
                log.warning("an export was cut off: it took longer than it may")
                return
            except ErasedMeanwhile:
                log.warning("an export was cut off: something in the bank was erased")
                return
            finally:
                gone.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await gone
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


@router.get(
    "/export",
    operation_id="export_bank",
    response_class=Response,
    responses=_EXPORTED | problems(404),
)
async def export_bank(bank: BankName, caller: CallerOf, service: ServiceOf) -> Export:
    """Everything of a bank as it is now, one JSON object a line: a header, turns, ingestions, speakers, memories with
    all versions, the log, answers, traces, and last the number of lines with their SHA-256.
    """
    return Export(service, caller, bank)


@router.post(
    "/import",
    status_code=201,
    operation_id="import_bank",
    responses=_IMPORTED | problems(409, 413, 502, 504),
    openapi_extra={"requestBody": {"required": True, "content": {NDJSON: _FILE}}},
)
async def import_bank(
    bank: BankName,
    request: Request,
    caller: CallerOf,
    service: ServiceOf,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Imported:
    """Make a bank of that name, which must not exist, from an exported file: all of it or nothing. Waiting turns are
    worked on, and texts embedded anew where the service's model is another.
    """

    def named(digest: bytes) -> Once:
        return Once() if idempotency_key is None else once_of(request, caller, idempotency_key, digest.hex())

    try:
        imported, once = await transfer_import.import_bank(service, caller, bank, request.stream(), named)
    except ClientDisconnect:
        raise InvalidInput("The file was not received whole.") from None
    note_replay(response, once)
    return imported
