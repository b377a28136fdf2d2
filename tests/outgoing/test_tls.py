"""TLS: the certificate is checked against the name, whatever address was connected to."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpcore
import pytest
import trustme

from app.outgoing.sender import Sent, WebhookSender
from app.outgoing.signing import new_secret
from tests.outgoing.connections import LoopbackBackend, Rebinding, answers
from tests.outgoing.receivers import Talk, hangs, receiving, replies, resets, says

NAME, PUBLIC = "hooks.example.com", "93.184.216.34"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata="")
    authority.configure_trust(context)
    return context


@contextlib.asynccontextmanager
async def public_sender(
    monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext | None, timeout: float = 20
) -> AsyncIterator[WebhookSender]:
    """A sender with the strict rules, whose connections to a public address come out on loopback."""
    monkeypatch.setattr(httpcore, "AnyIOBackend", LoopbackBackend)
    async with WebhookSender(timeout=timeout, tls=tls, resolve=answers(PUBLIC)) as sender:
        yield sender


async def post(sender: WebhookSender, port: int, name: str = NAME) -> Sent:
    return await sender.send(f"https://{name}:{port}/", [new_secret()], "msg_1", datetime.now(UTC), b"{}")


async def test_the_name_is_asked_for_and_checked_not_the_address(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    context = serving(authority.issue_cert(NAME))
    context.sni_callback = lambda connection, name, _: asked.append(name)
    async with (
        receiving(replies(), tls=context) as receiver,
        public_sender(monkeypatch, trusting(authority)) as sender,
    ):
        sent = await post(sender, receiver.port)
    assert sent.ok
    assert asked == [NAME]
    assert receiver.calls[0].headers["host"] == f"{NAME}:{receiver.port}"


@pytest.mark.parametrize("identity", ["other.example.com", "*.hooks.example.com", PUBLIC])
async def test_a_certificate_of_another_name_is_refused(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, identity: str
) -> None:
    async with (
        receiving(replies(), tls=serving(authority.issue_cert(identity))) as receiver,
        public_sender(monkeypatch, trusting(authority)) as sender,
    ):
        sent = await post(sender, receiver.port)
    assert (sent.status, sent.error) == (None, "tls")
    assert receiver.calls == []


async def test_an_expired_certificate_is_refused(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = authority.issue_cert(NAME, not_after=datetime(2020, 1, 1, tzinfo=UTC))
    async with (
        receiving(replies(), tls=serving(certificate)) as receiver,
        public_sender(monkeypatch, trusting(authority)) as sender,
    ):
        assert (await post(sender, receiver.port)).error == "tls"


async def test_an_unknown_authority_is_refused_by_default(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        receiving(replies(), tls=serving(authority.issue_cert(NAME))) as receiver,
        public_sender(monkeypatch, None) as sender,
    ):
        assert (await post(sender, receiver.port)).error == "tls"


async def test_a_receiver_that_wants_a_certificate_of_ours_is_a_failure(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = serving(authority.issue_cert(NAME))
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    async with (
        receiving(replies(), tls=context) as receiver,
        public_sender(monkeypatch, trusting(authority)) as sender,
    ):
        sent = await post(sender, receiver.port)
    # Its alert comes after the handshake, and may be lost with the connection.
    assert sent.status is None and sent.error in ("tls", "broken-reply")


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (says(b"HTTP/1.1 200 OK\r\n\r\n"), "tls"),
        (says(b""), "unreachable"),
        (resets(), "unreachable"),
        (hangs(), "timed-out"),
    ],
    ids=["plain HTTP", "closes", "resets", "hangs"],
)
async def test_what_is_no_tls_is_named(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, talk: Talk, error: str
) -> None:
    timeout = 1 if error == "timed-out" else 20
    async with receiving(talk) as receiver, public_sender(monkeypatch, trusting(authority), timeout) as sender:
        receiver.reads = False
        sent = await post(sender, receiver.port)
    assert (sent.status, sent.error) == (None, error)


@pytest.mark.parametrize(
    ("talk", "error"), [(says(b""), "broken-reply"), (resets(), "broken-reply"), (hangs(), "timed-out")]
)
async def test_what_fails_after_the_handshake_is_not_tls(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, talk: Talk, error: str
) -> None:
    timeout = 1 if error == "timed-out" else 20
    async with (
        receiving(talk, tls=serving(authority.issue_cert(NAME))) as receiver,
        public_sender(monkeypatch, trusting(authority), timeout) as sender,
    ):
        sent = await post(sender, receiver.port)
    assert (sent.status, sent.error) == (None, error)


async def test_a_handshake_that_is_left_closes_the_connection(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()
        writer.close()

    async with (
        await asyncio.start_server(silent, "127.0.0.1", 0) as server,
        public_sender(monkeypatch, trusting(authority), timeout=1) as sender,
    ):
        sent = await post(sender, server.sockets[0].getsockname()[1])
        async with asyncio.timeout(10):
            await ended.wait()
    assert (sent.status, sent.error) == (None, "timed-out")


@pytest.mark.parametrize("name", ["xn--a.example.com", "a_b.example.com", "xn--0.example", "xn--bcher-kva.example"])
async def test_strange_names_do_not_break_the_handshake(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with (
        receiving(replies(), tls=serving(authority.issue_cert(NAME))) as receiver,
        public_sender(monkeypatch, trusting(authority)) as sender,
    ):
        assert (await post(sender, receiver.port, name)).error == "tls"


async def test_rebinding_between_attempts_never_reaches_loopback(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpcore, "AnyIOBackend", LoopbackBackend)
    names = Rebinding([PUBLIC], ["127.0.0.1"], [PUBLIC, "127.0.0.1"])
    async with (
        receiving(replies(), tls=serving(authority.issue_cert(NAME))) as receiver,
        WebhookSender(tls=trusting(authority), resolve=names) as sender,
    ):
        sent = [(await post(sender, receiver.port)).error for _ in range(3)]
    assert sent == [None, "refused-address", "refused-address"]
    assert receiver.connections == 1
