"""Clients over HTTP: they post until they read a 202, and ask, read pages and retry what failed meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.chaos.ledger import TENANTS, TOLERATED, WAITED_FOR, Acknowledged, Ledger, tenant_of
from tests.chaos.replies import MARKER

NAMES = "Ann Ben Cleo Dora Emil Fay Gus Hana Ivo Jana Kurt Lena Milo Nora Otto Pia".split()
THINGS = "lamp chair kettle canoe violin carpet ladder mirror bicycle camera".split()
CITIES = "Oslo Bergen Turin Porto Ghent Krakow".split()
TURNS_PER_GENERATION = 60
HEDGED = 0.08
"""Share of the posts that are sent twice at once."""
GIVE_UP_SECONDS = 300.0
PAUSE_AFTER_FAILURE = 0.15
OLDEST = 30
PAUSE_OF_TIDYING = 0.05
Body = dict[str, Any]


@dataclass(frozen=True)
class Shared:
    """What all clients of a run have in common."""

    urls: Sequence[str]
    http: httpx.AsyncClient
    keys: Sequence[str]
    """A key of each tenant."""
    ledger: Ledger
    seed: int
    banks: int
    pause_seconds: float
    ending: asyncio.Event


class Client:
    """One of them, of one of the tenants, with a speaker of its own in a bank that it shares.

    The tenants' banks have the same names. The ledger has the tenant before the name, as the verification does.
    """

    def __init__(self, number: int, shared: Shared) -> None:
        self._number, self._shared, self._ledger = number, shared, shared.ledger
        self._tenant = tenant_of(number)
        self._draw = random.Random(f"{shared.seed} client {number}")
        self._said = 0
        self._mine: list[tuple[str, str]] = []
        """Markers of this client with their thing, in the current bank."""
        self._bank = ""

    async def run(self) -> None:
        """Post until the end is called, and then until the last post is acknowledged."""
        while not self._shared.ending.is_set():
            await self._post(self._turns())
            await self._look_around()
            await asyncio.sleep(self._draw.uniform(0, self._shared.pause_seconds))

    def _turns(self) -> list[Body]:
        shared_by = self._number // TENANTS % self._shared.banks
        bank = f"bank-{shared_by}-{self._said // TURNS_PER_GENERATION}"
        if bank != self._bank:
            self._bank, self._mine = bank, []
        return [self._turn() for _ in range(self._draw.randint(1, 5))]

    def _turn(self) -> Body:
        self._said += 1
        marker = f"K{self._number:02d}T{self._said:05d}"
        thing = self._draw.choice(THINGS)
        if self._mine and self._draw.random() < 0.3:
            sold, old = self._mine.pop(self._draw.randrange(len(self._mine)))
            text = f"I sold the {old} {sold} for the {thing} {marker}."
        else:
            text = f"I bought the {thing} {marker} in {self._draw.choice(CITIES)}."
        if self._draw.random() < 0.3:
            text += f" The weather in {self._draw.choice(CITIES)} was fine."
        self._mine.append((marker, thing))
        said_at = f"2024-03-01T12:00:{self._said % 60:02d}Z"
        return {"speaker": NAMES[self._number % len(NAMES)], "text": text, "external_id": marker, "said_at": said_at}

    async def _post(self, turns: list[Body]) -> None:
        # Without the key, the turns' external ids alone keep a second try from storing them twice.
        is_keyed = self._draw.random() < 0.5
        key = {"Idempotency-Key": f"{self._shared.seed}-{turns[0]['external_id']}"} if is_keyed else None
        path, deadline = f"/v1/banks/{self._bank}/turns", time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < deadline:
            copies = 2 if self._draw.random() < HEDGED else 1
            sent = [self._ask("post", "POST", path, {"turns": turns}, key) for _ in range(copies)]
            receipts = [receipt for receipt in await asyncio.gather(*sent) if receipt is not None]
            if receipts:
                for receipt in receipts:
                    self._check_receipt(receipt, receipts[0], turns)
                self._note(receipts[0], turns)
                return
            await asyncio.sleep(self._draw.uniform(0.5, 1.5) * PAUSE_AFTER_FAILURE)
        self._ledger.unacknowledged.append(f"{self._tenant}/{self._bank} {turns[0]['external_id']}")

    def _note(self, receipt: Body, turns: list[Body]) -> None:
        self._ledger.duplicates += receipt["duplicates"]
        bank = f"{self._tenant}/{self._bank}"
        for turn, turn_id in zip(turns, receipt["turn_ids"], strict=True):
            marker = turn["external_id"]
            one = Acknowledged(bank, marker, turn_id, marker, self._number, int(marker[-5:]))
            self._ledger.acknowledged.append(one)
        for ingestion in (receipt["ingestion_id"], *receipt["earlier_ingestion_ids"]):
            self._ledger.ingestions[bank, ingestion] = None

    def _check_receipt(self, receipt: Body, other: Body, turns: list[Body]) -> None:
        if len(receipt["turn_ids"]) != len(turns) or receipt["turn_ids"] != other["turn_ids"]:
            self._ledger.wrong.append(f"receipts of the same post differ: {receipt} {other}"[:500])

    async def _look_around(self) -> None:
        """Now and then something else than posting; the bank exists by now."""
        base = f"/v1/banks/{self._bank}"
        match self._draw.randrange(6):
            case 0 | 1:
                await self._ask("answer", "POST", f"{base}/answer", {"question": "What was bought in Oslo?"})
            case 2:
                await self._ask("memories", "GET", f"{base}/memories?limit=20")
            case 3:
                await self._ask("turns", "GET", f"{base}/turns?limit=20")
            case 4:
                await self._ask("search", "POST", f"{base}/memories/search", {"query": self._draw.choice(THINGS)})

    async def tidy(self) -> None:
        """Retry what failed among the oldest posts of all clients, until cancelled."""
        while True:
            await asyncio.sleep(PAUSE_OF_TIDYING)
            if oldest := list(self._ledger.ingestions)[:OLDEST]:
                await self.retry(*self._draw.choice(oldest))

    async def retry(self, bank: str, ingestion: str) -> None:
        """Put the failed turns of a post back, and note which these may be before that is asked for."""
        tenant, _, name = bank.partition("/")
        self._tenant = int(tenant)
        path = f"/v1/banks/{name}/ingestions/{ingestion}"
        read = await self._ask("ingestion", "GET", path)
        if read is not None and read["state"] == "done":
            self._ledger.ingestions.pop((bank, ingestion), None)
        if read is not None and any(turn["state"] == "failed" for turn in read["turns"]):
            self._ledger.retried.update(turn["turn_id"] for turn in read["turns"] if turn["state"] != "done")
            await self._ask("retry", "POST", f"{path}/retry")

    async def _ask(
        self, kind: str, method: str, path: str, body: Body | None = None, headers: dict[str, str] | None = None
    ) -> Body | None:
        """The body of a success; None where the client has to ask again, which is noted."""
        url, tenant = self._draw.choice(self._shared.urls) + path, self._tenant
        sent = {"Authorization": f"Bearer {self._shared.keys[tenant]}", **(headers or {})}
        try:
            response = await self._shared.http.request(method, url, json=body, headers=sent)
        except httpx.HTTPError as error:
            self._ledger.statuses[f"{kind} {type(error).__name__}"] += 1
            return None
        self._ledger.statuses[f"{kind} {response.status_code}"] += 1
        foreign = {marker for marker in MARKER.findall(response.text) if tenant_of(int(marker[1:3])) != tenant}
        self._ledger.leaked += [f"{method} {path} shows {marker} to tenant {tenant}" for marker in sorted(foreign)]
        wrong = why_wrong(kind, response)
        if wrong:
            self._ledger.wrong.append(f"{method} {path} {response.status_code}: {wrong}: {response.text[:300]!r}")
        if wrong or not response.is_success:
            return None
        read: Body = response.json()
        return read


FORM = {
    "post": ({"ingestion_id", "state", "turn_ids", "duplicates", "earlier_ingestion_ids"}, 202),
    "retry": ({"turns"}, 202),
    "answer": ({"id", "question", "answer", "abstained", "memories", "candidates"}, 200),
    "memories": ({"memories", "next_cursor"}, 200),
    "turns": ({"turns", "next_cursor"}, 200),
    "search": ({"candidates"}, 200),
    "ingestion": ({"id", "state", "created_at", "turns"}, 200),
}
"""Fields and status of each kind's success."""


def why_wrong(kind: str, response: httpx.Response) -> str | None:
    """What is wrong with an answer, or None."""
    fields, status = FORM[kind]
    try:
        body = response.json()
    except ValueError:
        return "it is not JSON"
    if response.is_success:
        fits = response.status_code == status and isinstance(body, dict) and fields <= body.keys()
        return None if fits else "it has another form"
    if response.headers.get("content-type") != "application/problem+json":
        return "it is no problem document"
    if not isinstance(body, dict) or body.get("status") != response.status_code:
        return "the problem has another form"
    # A retry can cross another of the same post.
    also = WAITED_FOR if kind in ("post", "retry") else set()
    return None if response.status_code in TOLERATED | also else "the status is not to be expected"
