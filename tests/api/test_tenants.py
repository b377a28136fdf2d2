"""A tenant that tries everything it can name of another: no route answers with, or touches, what is not its own.

Routes, parameters and bodies come from the OpenAPI document, so that new ones are tried as they are added.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import Text, Uuid, func, insert, literal, literal_column, select, union_all
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.db import tables
from app.db.engine import Sessions
from app.main import create_app
from app.services.banks import name_digest
from app.services.callers import Scope
from app.settings import Settings
from tests.fixtures.everything import everything
from tests.fixtures.tenants import guarded_client, key_of

__all__ = ["guarded_client"]

CANARY = "Zanzibar canary"
ONLY_THEIRS = "only-theirs"
ONCE = "their-idempotency-key"
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}")
DOCUMENT = create_app(Settings(_env_file=None)).openapi()
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if "security" in operation
}
NAMED = {
    "memories": "memory_id",
    "turns": "turn_id",
    "ingestions": "ingestion_id",
    "answers": "answer_id",
    "api_keys": "key_id",
    "webhooks": "webhook_id",
    "events": "event_id",
    "banks": "bank_id",
}
"""What routes call the ids of tables."""
KEYS: dict[str, tuple[Scope, tuple[str, ...] | None]] = {
    "admin": (Scope.ADMIN, None),
    "write": (Scope.WRITE, None),
    "read": (Scope.READ, None),
    "of one bank": (Scope.ADMIN, ("alice",)),
}


@dataclass
class Tenant:
    """A tenant with something of each kind."""

    name: str
    word: str
    headers: dict[str, str]
    tenant_id: UUID
    ids: dict[str, list[str]] = field(default_factory=dict)
    """What can be named of it, by the name of a column."""
    cursors: dict[str, str] = field(default_factory=dict)
    """By operation."""


@dataclass(frozen=True)
class Attempt:
    """One request, and the same with something that is nowhere in place of what is another's."""

    operation: str
    method: str
    there: dict[str, Any]
    nowhere: dict[str, Any]


async def settled(client: httpx.AsyncClient, sessions: Sessions, name: str, word: str, *also: str) -> Tenant:
    """A tenant whose banks are called as everybody's are, with turns, memories, answers, keys, webhooks, receipts."""
    headers = await key_of(sessions, name)
    tenant = Tenant(name, word, headers, await tenant_id_of(sessions, name))
    for bank in ("alice", "bob", *also):
        turns = [{"speaker": f"{word} Speaker", "text": f"I adopted {word} number {n}."} for n in range(3)]
        waiting = {**headers, "prefer": "wait=60"}
        posted = await client.post(f"/v1/banks/{bank}/turns", json={"turns": turns}, headers=waiting)
        assert posted.json()["state"] == "done", posted.text
        turn = posted.json()["turn_ids"][0]
        erased = await client.delete(f"/v1/banks/{bank}/turns/{turn}", headers=headers)
        assert erased.status_code == 200, erased.text
        asked = {"question": f"Which {word}?"}
        answer = await client.post(f"/v1/banks/{bank}/answer", json=asked, headers={**headers, "idempotency-key": bank})
        assert answer.status_code == 200 and not answer.json()["abstained"]
    made = await client.post("/v1/keys", json={"name": f"{word} key", "scope": "read"}, headers=headers)
    hook = {"url": f"https://{word.lower()}.example.com/hook"}
    hooked = await client.post("/v1/webhooks", json=hook, headers=headers)
    assert (made.status_code, hooked.status_code) == (201, 201)
    await keep_a_delivery(sessions, tenant.tenant_id, hooked.json()["id"])
    tenant.ids = await names_of(sessions, tenant.tenant_id)
    tenant.cursors = await cursors_of(client, tenant)
    return tenant


async def tenant_id_of(sessions: Sessions, name: str) -> UUID:
    async with everything(sessions) as session:
        found = await session.scalar(select(tables.tenants.c.id).where(tables.tenants.c.name == name))
    assert isinstance(found, UUID)
    return found


async def keep_a_delivery(sessions: Sessions, tenant_id: UUID, webhook_id: str) -> None:
    """One that is over, so that nothing goes on by itself while rows are compared."""
    event = {"tenant_id": tenant_id, "id": uuid4(), "type": "memory.changed", "body": {"about": CANARY}}
    delivery = {"tenant_id": tenant_id, "webhook_id": UUID(webhook_id), "event_id": event["id"], "state": "delivered"}
    async with everything(sessions) as session:
        await session.execute(insert(tables.events).values(event))
        await session.execute(insert(tables.deliveries).values({**delivery, "run_at": None}))


async def keep_requests(sessions: Sessions, tenant_id: UUID, seeker: UUID) -> None:
    """An Idempotency-Key for each operation, with a response that nobody else may get, where the seeker would look."""
    kept = {"tenant_id": tenant_id, "digest": b"another request", "body": {"text": CANARY}}
    scopes = ["", *(name_digest(seeker, bank) for bank in ("alice", "bob", ONLY_THEIRS))]
    rows = [{**kept, "scope": scope, "key": f"{ONCE}-{one}"} for one in OPERATIONS for scope in scopes]
    async with everything(sessions) as session:
        await session.execute(insert(tables.idempotency_keys), rows)


async def names_of(sessions: Sessions, tenant_id: UUID) -> dict[str, list[str]]:
    """Every id that a tenant's rows hold, by the parameter that it could be sent as, and digests of its receipts."""
    ids: dict[str, set[str]] = {}
    async with everything(sessions) as session:
        for table in tables.metadata.sorted_tables:
            if "tenant_id" not in table.columns:
                continue
            for column in (c for c in table.columns if isinstance(c.type, Uuid) and c.name != "tenant_id"):
                found = await session.scalars(select(column).where(table.c.tenant_id == tenant_id))
                name = NAMED.get(table.name, f"{table.name}_id") if column.name == "id" else column.name
                ids.setdefault(name, set()).update(str(one) for one in found if one is not None)
        erasures = tables.erasures.c
        ids["digest"] = set(await session.scalars(select(erasures.digest).where(erasures.tenant_id == tenant_id)))
    return {name: sorted(values) for name, values in ids.items() if values}


async def cursors_of(client: httpx.AsyncClient, tenant: Tenant) -> dict[str, str]:
    """A cursor of each listing that has a second page."""
    found = {}
    for operation_id, (method, path, operation) in OPERATIONS.items():
        if "cursor" in {parameter["name"] for parameter in operation.get("parameters", [])}:
            at = path.replace("{bank}", "alice")
            for name, values in tenant.ids.items():
                at = at.replace(f"{{{name}}}", values[0])
            page = await client.request(method, at, params={"limit": 1}, headers=tenant.headers)
            if page.is_success and page.json()["next_cursor"]:
                found[operation_id] = page.json()["next_cursor"]
    return found


@pytest.fixture
def guarded(settings: Settings) -> Settings:
    """A service that asks for keys, with room for what the attacker makes on the way."""
    server = settings.server.model_copy(update={"require_key": True})
    webhooks = settings.webhooks.model_copy(update={"max_webhooks": 200})
    return settings.model_copy(update={"server": server, "webhooks": webhooks})


@pytest_asyncio.fixture
async def both(guarded_client: httpx.AsyncClient, sessions: Sessions) -> tuple[Tenant, Tenant]:
    """Who attacks, and who must not notice."""
    acme = await settled(guarded_client, sessions, "acme", "Buddy")
    rival = await settled(guarded_client, sessions, "rival", CANARY.split()[0], ONLY_THEIRS)
    await keep_requests(sessions, rival.tenant_id, acme.tenant_id)
    return acme, rival


async def digest(sessions: Sessions, tenant_id: UUID) -> dict[str, str | None]:
    """Of each table, what a tenant has in it."""
    parts = []
    for table in (one for one in tables.metadata.sorted_tables if one.name not in tables.DEPLOYMENT_WIDE):
        owner = table.c.id if table is tables.tenants else table.c.tenant_id
        row = literal_column(f"{table.name}::text", Text)
        whole = func.md5(func.string_agg(row, aggregate_order_by(literal("|"), row)))
        parts.append(select(literal(table.name), whole).where(owner == tenant_id))
    async with everything(sessions) as session:
        return {str(name): found for name, found in await session.execute(union_all(*parts))}


def attempts(operation_id: str, theirs: Tenant) -> Iterator[Attempt]:
    """Everything of another tenant in every place that a route takes something in."""
    method, path, operation = OPERATIONS[operation_id]
    parameters = operation.get("parameters", [])
    inside = {p["name"] for p in parameters if p["in"] == "path"}
    own: dict[str, Any] = {
        "path": {name: "alice" if name == "bank" else str(uuid4()) for name in inside},
        "body": example(operation),
    }
    own |= {"query": {}, "headers": {}}
    if "number" in inside:
        own["path"]["number"] = "999999"
    for place, name, value, other in replacements(operation_id, parameters, theirs):
        there, nowhere = copy.deepcopy(own), copy.deepcopy(own)
        there[place][name], nowhere[place][name] = value, other
        if place == "path" and name != "bank":
            fill_in(there, inside - {name}, theirs)
        yield Attempt(operation_id, method, request(path, there), request(path, nowhere))
    for steps in leaves(own["body"]):
        for value in (theirs.ids["memory_id"][0], theirs.ids["key_id"][0], theirs.ids["turn_id"][0]):
            there, nowhere = copy.deepcopy(own), copy.deepcopy(own)
            put(there["body"], steps, value)
            put(nowhere["body"], steps, str(uuid4()))
            yield Attempt(operation_id, method, request(path, there), request(path, nowhere))


def fill_in(there: dict[str, Any], names: set[str], theirs: Tenant) -> None:
    """Also what else the path names is the other's, where it takes two."""
    for name in names - {"bank"}:
        if name in theirs.ids:
            there["path"][name] = theirs.ids[name][0]


def replacements(
    operation_id: str, parameters: list[dict[str, Any]], theirs: Tenant
) -> Iterator[tuple[str, str, str, str]]:
    """Place, name, what is theirs, and what is nobody's."""
    for parameter in parameters:
        name, place = parameter["name"], {"header": "headers"}.get(parameter["in"], parameter["in"])
        match place, name:
            case "path", "bank":
                yield place, name, ONLY_THEIRS, "only-of-nobody"
            case "path", "digest":
                yield place, name, theirs.ids["digest"][0], "f" * len(theirs.ids["digest"][0])
            case "path", "number":
                continue
            case "query", "cursor":
                if operation_id in theirs.cursors:
                    yield place, name, theirs.cursors[operation_id], theirs.cursors[operation_id]
            case "headers", "idempotency-key":
                yield place, name, f"{ONCE}-{operation_id}", f"nobodys-{operation_id}"
            case "headers", _:
                yield place, name, f'"{theirs.ids["memory_id"][0]}"', f'"{uuid4()}"'
            case _:
                for value in theirs.ids.get(name, []) or some_ids(theirs):
                    yield place, name, value, str(uuid4())


def some_ids(theirs: Tenant) -> list[str]:
    """One of each kind."""
    return [values[0] for values in theirs.ids.values()]


def example(operation: dict[str, Any]) -> Any:
    """The body that the document shows, if the route takes JSON."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return copy.deepcopy(DOCUMENT["components"]["schemas"][name]["examples"][0])


def leaves(body: Any, steps: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a body holds strings."""
    if isinstance(body, dict | list):
        for step, inner in body.items() if isinstance(body, dict) else enumerate(body):
            yield from leaves(inner, (*steps, step))
    elif isinstance(body, str):
        yield steps


def put(body: Any, steps: tuple[Any, ...], value: str) -> None:
    for step in steps[:-1]:
        body = body[step]
    body[steps[-1]] = value


def request(path: str, parts: dict[str, Any]) -> dict[str, Any]:
    sent = {"url": path.format(**parts["path"]), "params": parts["query"], "headers": parts["headers"]}
    return sent | ({"json": parts["body"]} if parts["body"] is not None else {})


def check_silent(response: httpx.Response, sent: dict[str, Any], theirs: Tenant, known: set[str]) -> None:
    """Nothing comes back of what the other has, but ids that the attacker has stored as texts of its own."""
    told = response.text + str(response.headers)
    known |= set(ID.findall(json.dumps(sent)))
    assert not re.search(theirs.word, told, re.IGNORECASE), (sent, told[:500])
    every = {one for values in theirs.ids.values() for one in values} | {str(theirs.tenant_id)}
    leaked = {one for one in every if one in told} - (known if response.is_success else set())
    assert not leaked, (sent, told[:500])
    assert "idempotency-replayed" not in response.headers


@pytest.mark.parametrize("kind", KEYS)
async def test_nothing_of_another_tenant_is_seen_or_touched(
    kind: str, guarded_client: httpx.AsyncClient, sessions: Sessions, both: tuple[Tenant, Tenant]
) -> None:
    mine, theirs = both
    headers = await key_of(sessions, mine.name, *KEYS[kind])
    before = await digest(sessions, theirs.tenant_id)
    assert all(held for name, held in before.items() if name != "key_usage"), before
    tried, known = 0, set[str]()
    for operation_id in sorted(OPERATIONS):
        for attempt in attempts(operation_id, theirs):
            answers = []
            for sent in (attempt.there, attempt.nowhere):
                if operation_id == "delete_bank":
                    again = {"turns": [{"speaker": "Alice", "text": "I have a bank again."}]}
                    await guarded_client.post("/v1/banks/alice/turns", json=again, headers=mine.headers)
                asked = {**sent, "headers": {**sent["headers"], **headers}}
                response = await guarded_client.request(attempt.method, **asked)
                assert response.status_code < 500, (attempt, response.text)
                check_silent(response, sent, theirs, known)
                answers.append(response)
            tried += 1
            there, nowhere = answers
            assert there.status_code == nowhere.status_code, (attempt, there.text, nowhere.text)
            if there.status_code >= 400:
                assert there.json() == nowhere.json(), attempt
        assert await digest(sessions, theirs.tenant_id) == before, operation_id
    assert tried > 2 * len(OPERATIONS)


async def test_the_fuzzer_reaches_every_route_that_takes_something(both: tuple[Tenant, Tenant]) -> None:
    _, theirs = both
    every = [p for _, _, operation in OPERATIONS.values() for p in operation.get("parameters", [])]
    inside = {p["name"] for p in every if p["in"] == "path"}
    assert inside - {"bank", "number"} <= theirs.ids.keys(), "the other tenant has none of these to be named"
    untried = {one for one in OPERATIONS if not list(attempts(one, theirs))}
    assert all(not OPERATIONS[one][2].get("parameters") or "cursor" in str(OPERATIONS[one][2]) for one in untried)
    listing = {one for one, (_, _, operation) in OPERATIONS.items() if '"cursor"' in json.dumps(operation)}
    assert len(theirs.cursors) >= len(listing) // 2


async def test_one_idempotency_key_of_two_tenants_is_two(
    guarded_client: httpx.AsyncClient, both: tuple[Tenant, Tenant]
) -> None:
    same = {"turns": [{"speaker": "Same", "text": "We both say just this."}]}
    ids = []
    for tenant in both:
        for _ in range(2):
            once = {**tenant.headers, "idempotency-key": "same"}
            posted = await guarded_client.post("/v1/banks/alice/turns", json=same, headers=once)
            ids.append(posted.json()["turn_ids"])
    assert ids[0] == ids[1] != ids[2] == ids[3]


async def test_the_canary_is_found_where_it_may_be(
    guarded_client: httpx.AsyncClient, both: tuple[Tenant, Tenant]
) -> None:
    """Otherwise its absence elsewhere would show nothing."""
    _, theirs = both
    for path in ("/v1/banks", "/v1/banks/alice/turns", "/v1/banks/alice/memories", "/v1/keys", "/v1/webhooks"):
        told = await guarded_client.get(path, headers=theirs.headers)
        assert re.search(theirs.word, told.text, re.IGNORECASE), path


async def test_the_names_of_a_tenants_rows_are_all_known(both: tuple[Tenant, Tenant]) -> None:
    mine, theirs = both
    for name in ("turn_id", "memory_id", "ingestion_id", "answer_id", "key_id", "webhook_id", "event_id", "digest"):
        assert theirs.ids[name] and not set(theirs.ids[name]) & set(mine.ids[name])
