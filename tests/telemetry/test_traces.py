"""One trace from a request through the queue to the models and the transaction; and what it never holds."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.core.errors import ModelRefused
from app.core.telemetry import Telemetry
from app.core.values import Message, Prompt, Role
from app.llm.completer import HttpCompleter
from app.settings import Settings, TelemetrySettings
from app.telemetry.observed import ObservedCompleter
from app.telemetry.prometheus import PrometheusMeter
from app.telemetry.tracing import OpenTelemetryTracer
from tests.fixtures.doubles import ScriptedCompleter
from tests.fixtures.ingesting import FailingCompleter
from tests.outgoing.receivers import receiving, replies
from tests.telemetry.observing import NOWHERE, observing_settings, remembered, watched

TRACE, CALLER = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
TRACEPARENT = f"00-{TRACE:032x}-{CALLER:016x}-01"
POSTED, ASKED = "POST /v1/banks/{bank}/turns", "POST /v1/banks/{bank}/answer"


def number_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.trace_id)


def path_of(span: ReadableSpan, spans: Sequence[ReadableSpan]) -> list[str]:
    """The names from the outermost step to this one."""
    by_number = {number_of(one): one for one in spans}
    names, step = [span.name], span
    while step.parent is not None and step.parent.span_id in by_number:
        step = by_number[step.parent.span_id]
        names.insert(0, step.name)
    return names


async def test_a_turn_is_one_trace_from_the_callers_request_to_the_transaction(settings: Settings) -> None:
    settings = observing_settings(settings)
    async with watched(settings, ScriptedCompleter()) as running:
        await remembered(running.client, "alice", "I have a dog.", traceparent=TRACEPARENT)
        spans = [span for span in running.spans() if trace_of(span) == TRACE]
    (posted,) = [span for span in spans if span.name == POSTED]
    assert posted.parent is not None and posted.parent.span_id == CALLER
    assert posted.kind is SpanKind.SERVER
    assert (posted.attributes or {})["http.response.status_code"] == 202
    model = "chat packaged:SmolLM2-135M-Instruct"
    assert {"/".join(path_of(span, spans)).removeprefix(POSTED) for span in spans} == {
        "",
        "/transaction",
        "/extract facts",
        f"/extract facts/{model}",
        "/extract facts/transaction",
        "/remember turn",
        "/remember turn/embeddings hashed-words",
        "/remember turn/retrieval",
        "/remember turn/retrieval/transaction",
        f"/remember turn/{model}",
        "/remember turn/transaction",
    }
    assert {span.kind for span in spans if span.name in ("extract facts", "remember turn")} == {SpanKind.CONSUMER}
    assert all(span.status.status_code is not StatusCode.ERROR for span in spans)


async def test_model_calls_are_told_by_the_genai_conventions(settings: Settings) -> None:
    settings = observing_settings(settings)
    async with watched(settings, ScriptedCompleter()) as running:
        await remembered(running.client, "alice", "I have a dog.")
        assert (await running.client.post("/v1/banks/alice/answer", json={"question": "What?"})).status_code == 200
        spans = running.spans()
    calls = [dict(span.attributes or {}) for span in spans if span.name.startswith("chat ")]
    assert {call["memory_r1.role"] for call in calls} == {"extractor", "manager", "answerer"}
    for call in calls:
        assert call.pop("memory_r1.prompt_version")
        assert call.pop("memory_r1.role")
        assert call == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "memory_r1",
            "gen_ai.request.model": "packaged:SmolLM2-135M-Instruct",
            "gen_ai.response.model": "scripted",
            "gen_ai.output.type": "json",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 10,
        }
    answered = [span for span in spans if path_of(span, spans)[0] == ASKED]
    assert {"embeddings hashed-words", "retrieval", "transaction"} < {span.name for span in answered}
    assert len({trace_of(span) for span in answered}) == 1


async def test_a_failure_is_told_by_its_type_alone(settings: Settings) -> None:
    settings = observing_settings(settings)
    async with watched(settings, FailingCompleter(ModelRefused("zQcanaryQz"), Role.EXTRACTOR)) as running:
        await remembered(running.client, "alice", "I have a dog.")
        spans = running.spans()
    failed = {span.name: span for span in spans if span.status.status_code is StatusCode.ERROR}
    assert failed.keys() == {"chat packaged:SmolLM2-135M-Instruct", "extract facts", "remember turn"}
    for span in failed.values():
        assert (span.attributes or {})["error.type"] == "ModelRefused"
        assert "zQcanaryQz" not in span.to_json()


async def test_a_turn_without_a_trace_begins_one_of_its_own(settings: Settings) -> None:
    """As one that was stored while traces were off."""
    async with watched(observing_settings(settings, sample_ratio=0.0), ScriptedCompleter()) as running:
        await remembered(running.client, "alice", "I have a dog.")
        assert running.spans() == []
        # The caller's word counts before the ratio.
        await remembered(running.client, "alice", "I like tea.", traceparent=TRACEPARENT)
        assert {trace_of(span) for span in running.spans()} == {TRACE}


@pytest.mark.parametrize(
    "broken", ["", "00-zz", f"00-{0:032x}-{0:016x}-01", "x" * 5000], ids=["none", "cut", "zero", "long"]
)
async def test_a_broken_traceparent_breaks_nothing(broken: str) -> None:
    exporter = InMemorySpanExporter()
    tracer = OpenTelemetryTracer(TelemetrySettings(otlp_endpoint=NOWHERE), exporter)
    with tracer.span("step", parent=broken), tracer.span("inside", is_root=False):
        told = tracer.traceparent()
        assert told is not None and tracer.ids()["trace_id"] in told
    with tracer.span("alone", is_root=False):
        assert (tracer.traceparent(), tracer.ids()) == (None, {})
    tracer.provider.force_flush()
    assert [span.name for span in exporter.get_finished_spans()] == ["inside", "step"]


async def test_the_model_server_is_told_the_trace(settings: Settings) -> None:
    """Such as vLLM, which can send its own steps to the same collector."""
    exporter = InMemorySpanExporter()
    tracer = OpenTelemetryTracer(observing_settings(settings).telemetry, exporter)
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "{}"}}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    prompt = Prompt(
        role=Role.MANAGER, messages=(Message(role="user", content="zQcanaryQz"),), reply_schema={}, version="v"
    )
    talk = replies(200, "Content-Type: application/json", body=json.dumps(body).encode())
    async with receiving(talk) as receiver, tracer.running():
        server = HttpCompleter(f"http://127.0.0.1:{receiver.port}/v1", "m")
        try:
            with tracer.span("outside"):
                observed = ObservedCompleter(server, "m", Telemetry(PrometheusMeter(), tracer))
                assert (await observed.complete(prompt)).text == "{}"
        finally:
            await server.aclose()
        (call,) = receiver.calls
    spans = exporter.get_finished_spans()
    sent = [span for span in spans if span.kind is SpanKind.CLIENT and span.name != "chat m"]
    assert path_of(sent[0], spans)[:2] == ["outside", "chat m"]
    assert call.headers["traceparent"].startswith(f"00-{trace_of(sent[0]):032x}-{number_of(sent[0]):016x}-")
    assert "zQcanaryQz" not in "".join(span.to_json() for span in spans)
