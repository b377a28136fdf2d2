"""One attempt, against receivers that behave well or as badly as they can."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from standardwebhooks import Webhook

from app.core.errors import InvalidInput
from app.outgoing.sender import MAX_RETRY_AFTER, Sent, WebhookSender, read_retry_after
from app.outgoing.signing import new_secret
from tests.outgoing.connections import Rebinding, answers
from tests.outgoing.receivers import Receiver, Talk, drips, hangs, head, receiving, replies, resets, says

BODY = b'{"type":"memory.added","text":"Zo\xc3\xab moved to Brno."}'
SECRET = new_secret()
TIMEOUT = 0.6
SLACK = 4.0
"""Seconds that a busy machine may add."""


@pytest.fixture
async def sender() -> AsyncIterator[WebhookSender]:
    """May call loopback; every name leads there."""
    async with WebhookSender(allow_private=True, timeout=20, resolve=answers("127.0.0.1")) as made:
        yield made


@pytest.fixture
async def hasty() -> AsyncIterator[WebhookSender]:
    """The same, with little time."""
    async with WebhookSender(allow_private=True, timeout=TIMEOUT, resolve=answers("127.0.0.1")) as made:
        yield made


async def post(
    sender: WebhookSender, where: Receiver | str, secrets: Sequence[SecretStr] = (SECRET,), body: bytes = BODY
) -> Sent:
    url = where if isinstance(where, str) else f"http://127.0.0.1:{where.port}/hook"
    return await sender.send(url, secrets, "msg_1", datetime.now(UTC), body)


async def outcome(sender: WebhookSender, talk: Talk) -> Sent:
    async with receiving(talk) as receiver:
        return await post(sender, receiver)


async def test_a_webhook_arrives_whole_and_verifies_with_each_secret(sender: WebhookSender) -> None:
    other = new_secret()
    async with receiving(replies(204, body=b"")) as receiver:
        url = f"http://Hooks.example:{receiver.port}/a/b%20c?token=t&x=%C3%AB"
        sent = await post(sender, url, [SECRET, other])
    [call] = receiver.calls
    assert (sent.ok, sent.gone, sent.status, sent.error, sent.retry_after) == (True, False, 204, None, None)
    assert 0 < sent.seconds < SLACK
    assert (call.line, call.body) == ("POST /a/b%20c?token=t&x=%C3%AB HTTP/1.1", BODY)
    assert call.headers["host"] == f"hooks.example:{receiver.port}"
    assert call.headers["user-agent"] == f"memory-r1/{version('memory-r1')}"
    assert (call.headers["content-type"], call.headers["connection"]) == ("application/json", "close")
    for secret in (SECRET, other):
        assert Webhook(secret.get_secret_value()).verify(call.body, call.headers)["type"] == "memory.added"


async def test_each_attempt_has_a_connection_of_its_own(sender: WebhookSender) -> None:
    async with receiving(replies()) as receiver:
        for _ in range(3):
            assert (await post(sender, receiver)).ok
    assert receiver.connections == 3


async def test_an_ipv6_address_is_called_by_its_name_in_brackets(sender: WebhookSender) -> None:
    try:
        async with receiving(replies(), host="::1") as receiver:
            assert (await post(sender, f"http://[::1]:{receiver.port}/")).ok
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert receiver.calls[0].headers["host"] == f"[::1]:{receiver.port}"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_is_delivered(sender: WebhookSender, status: int) -> None:
    body = b"" if status == 204 else b"ok"
    sent = await outcome(sender, replies(status, "Retry-After: 7", body=body))
    assert (sent.ok, sent.status, sent.retry_after) == (True, status, None)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 418, 429, 500, 503, 599, 999])
async def test_other_statuses_are_failures(sender: WebhookSender, status: int) -> None:
    sent = await outcome(sender, replies(status, "Retry-After: 7"))
    assert (sent.ok, sent.status, sent.error, sent.retry_after) == (False, status, "status", 7.0)
    assert sent.gone == (status == 410)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_redirects_are_not_followed(sender: WebhookSender, status: int) -> None:
    async with receiving(replies()) as inside:
        moved = replies(status, f"Location: http://127.0.0.1:{inside.port}/", body=b"")
        sent = await outcome(sender, moved)
    assert (sent.ok, sent.status, sent.error) == (False, status, "redirect")
    assert inside.connections == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/", "https://127.0.0.1:{}/", "https://a.example:{}/", "nonsense"])
async def test_loopback_is_refused_unless_it_is_allowed(url: str) -> None:
    async with receiving(replies()) as receiver, WebhookSender(resolve=answers("127.0.0.1")) as strict:
        sent = await post(strict, url.format(receiver.port))
    assert (sent.ok, sent.status, sent.error) == (False, None, "refused-address")
    assert receiver.connections == 0


async def test_a_name_that_turns_to_metadata_is_refused() -> None:
    names = Rebinding(["127.0.0.1"], ["169.254.169.254"])
    async with receiving(replies()) as receiver, WebhookSender(allow_private=True, resolve=names) as sender:
        sent = [await post(sender, f"http://a.example:{receiver.port}/") for _ in range(2)]
    assert [one.error for one in sent] == [None, "refused-address"]
    assert (len(names.asked), receiver.connections) == (2, 1)


@pytest.mark.parametrize(
    "talk",
    [
        hangs(),
        hangs(b"HTTP/1.1 200 OK\r\n"),
        drips(b"HTTP/1.1 200 OK\r\nX-Long: "),
        drips(b"", b"H"),
        drips(b"", head(100)),
        drips(head(103)),
    ],
    ids=["silent", "half a head", "dripping header", "dripping line", "endless 100", "early hints"],
)
async def test_without_a_status_in_time_it_is_cut_off(hasty: WebhookSender, talk: Talk) -> None:
    async with receiving(talk) as receiver:
        started = time.perf_counter()
        sent = await post(hasty, receiver)
        elapsed = time.perf_counter() - started
        await receiver.left()
    assert (sent.status, sent.error) == (None, "timed-out")
    assert elapsed < TIMEOUT + SLACK


@pytest.mark.parametrize("talk", [drips(head(200)), hangs(head(200)), drips(head(200, ["Transfer-Encoding: chunked"]))])
async def test_a_body_that_never_ends_is_cut_off_and_the_status_counts(sender: WebhookSender, talk: Talk) -> None:
    async with receiving(talk) as receiver:
        started = time.perf_counter()
        sent = await post(sender, receiver)
        elapsed = time.perf_counter() - started
        await receiver.left()
    assert sent.status == 200
    assert elapsed < 1 + SLACK


async def test_of_a_huge_body_little_is_read(sender: WebhookSender) -> None:
    written = 0

    async def talk(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(head(200))
        while True:
            writer.write(b"x" * 65_536)
            written += 65_536
            await writer.drain()

    async with receiving(talk) as receiver:
        sent = await post(sender, receiver)
        await receiver.left()
    assert sent.ok
    assert written < 20_000_000


async def test_compressed_bodies_are_not_unpacked(sender: WebhookSender) -> None:
    assert (await outcome(sender, replies(200, "Content-Encoding: gzip", body=b"not gzip"))).ok


@pytest.mark.parametrize(
    "talk",
    [
        says(b""),
        resets(),
        resets(b"HTTP/1.1 200"),
        says(b"HTTP/1.1 200 OK\r\nContent-Le"),
        says(b"SSH-2.0-OpenSSH_9.6\r\n"),
        says(b"\x00" * 500),
        says(b"HTTP/1.1 abc OK\r\n\r\n"),
        says(head(200, ["Content-Length: x"])),
        says(head(200, ["X: " + "y" * 300_000])),
        replies(101, "Upgrade: websocket"),
        says(b"220 smtp.example.com ESMTP\r\n"),
    ],
    ids="nothing reset half-line half-head ssh nulls no-number bad-length huge-head upgrade smtp".split(),
)
async def test_what_is_no_reply_is_a_broken_one(sender: WebhookSender, talk: Talk) -> None:
    sent = await outcome(sender, talk)
    assert (sent.status, sent.error) == (None, "broken-reply")


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("ends", [says, resets])
async def test_a_body_that_breaks_off_does_not_change_the_outcome(
    sender: WebhookSender, status: int, ends: type
) -> None:
    sent = await outcome(sender, ends(head(status, ["Content-Length: 100"]) + b"half"))
    assert (sent.status, sent.ok) == (status, status == 200)


async def test_a_receiver_that_does_not_read_is_cut_off(hasty: WebhookSender) -> None:
    body = b'"' + b"x" * 30_000_000 + b'"'
    async with receiving(hangs()) as receiver:
        receiver.reads = False
        sent = await post(hasty, receiver, body=body)
    assert (sent.status, sent.error) == (None, "timed-out")


async def test_a_receiver_that_refuses_before_it_has_read_all_is_heard(sender: WebhookSender) -> None:
    async with receiving(replies(413)) as receiver:
        receiver.reads = False
        sent = await post(sender, receiver)
    assert sent.status == 413 or sent.error == "broken-reply"


async def test_nobody_there_is_unreachable(sender: WebhookSender) -> None:
    async with receiving(replies()) as receiver:
        pass
    assert (await post(sender, receiver)).error == "unreachable"


async def test_a_name_that_nobody_knows_is_unreachable() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise OSError("unknown")

    async with WebhookSender(resolve=resolve) as sender:
        sent = await post(sender, "https://a.example/")
    assert (sent.status, sent.error) == (None, "unreachable")


async def test_a_look_up_that_hangs_times_out() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async with WebhookSender(timeout=0.2, resolve=resolve) as sender:
        sent = await post(sender, "https://a.example/")
    assert (sent.status, sent.error) == (None, "timed-out")
    assert 0.2 <= sent.seconds < SLACK


async def test_only_so_many_are_sent_at_once() -> None:
    async with receiving(hangs()) as receiver, WebhookSender(allow_private=True, timeout=30, concurrency=3) as sender:
        sends = [asyncio.create_task(post(sender, receiver)) for _ in range(8)]
        await asyncio.sleep(0.5)
        assert receiver.open_now == receiver.connections == 3
        for one in sends:
            one.cancel()
        await asyncio.gather(*sends, return_exceptions=True)
        await receiver.left()


async def test_the_wait_for_a_place_is_not_counted() -> None:
    async with receiving(hangs()) as receiver, WebhookSender(allow_private=True, timeout=0.3, concurrency=1) as sender:
        sent = await asyncio.gather(*(post(sender, receiver) for _ in range(4)))
    assert [one.error for one in sent] == ["timed-out"] * 4
    assert receiver.connections == 4


async def test_a_cancelled_send_gives_its_place_back_and_is_not_swallowed() -> None:
    async with receiving(hangs()) as receiver, WebhookSender(allow_private=True, timeout=30, concurrency=1) as sender:
        hanging = asyncio.create_task(post(sender, receiver))
        await asyncio.sleep(0.2)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        await receiver.left()
        receiver.talk = replies()
        assert (await post(sender, receiver)).ok


async def test_proxies_and_netrc_of_the_environment_are_not_used(
    sender: WebhookSender, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password sesame\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with receiving(replies()) as proxy, receiving(replies()) as receiver:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with WebhookSender(allow_private=True) as fresh:
            assert (await post(fresh, receiver)).ok
    assert proxy.connections == 0
    assert "authorization" not in receiver.calls[0].headers


async def test_cookies_are_not_kept(sender: WebhookSender) -> None:
    async with receiving(replies(200, "Set-Cookie: a=b")) as receiver:
        await post(sender, receiver)
        await post(sender, receiver)
    assert all("cookie" not in call.headers for call in receiver.calls)


@pytest.mark.parametrize("talk", [replies(), replies(500), resets(), hangs(), says(b"nonsense\r\n")])
async def test_nothing_of_body_secret_or_path_is_logged(
    hasty: WebhookSender, caplog: pytest.LogCaptureFixture, talk: Talk
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with receiving(talk) as receiver:
            sent = await post(hasty, f"http://127.0.0.1:{receiver.port}/private-token")
    written = caplog.text + repr(sent)
    for private in ("private-token", "Brno", SECRET.get_secret_value()[6:], "v1,"):
        assert private not in written


async def test_what_the_caller_gets_wrong_is_raised(sender: WebhookSender) -> None:
    with pytest.raises(InvalidInput):
        await post(sender, "http://127.0.0.1/", [])
    with pytest.raises(InvalidInput):
        await post(sender, "http://127.0.0.1/", [SecretStr("sesame")])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b"HTTP/1.1 200 " + tail + b"\r\n\r\n"))
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
@example(b"HTTP/1.1 500 OK\r\nRetry-After: \xff\xfe\r\n\r\n")
@example(b"HTTP/1.1 429 OK\r\nRetry-After: 1\r\nRetry-After: 2\r\n\r\n")
async def test_no_reply_makes_it_raise(sender: WebhookSender, reply: bytes) -> None:
    sent = await outcome(sender, says(reply))
    assert sent.ok == (sent.status is not None and 200 <= sent.status < 300)


NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("86400", 86_400),
        ("99999999999999999999", MAX_RETRY_AFTER),
        ("Wed, 04 Mar 2026 12:02:00 GMT", 120),
        ("Wed, 04 Mar 2026 13:02:00 +0100", 120),
        ("Wed, 04 Mar 2026 12:02:00 -0000", 120),
        ("Wednesday, 04-Mar-26 12:02:00 GMT", 120),
        ("Wed Mar  4 12:02:00 2026", 120),
        ("Wed, 04 Mar 2026 11:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("²", None),
        ("9" * 5000, None),
        ("soon", None),
        ("Wed, 99 Mar 2026 12:02:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, seconds: float | None) -> None:
    assert read_retry_after(text, NOW) == seconds


@given(
    st.text(max_size=80)
    | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,4} [A-Z][a-z]{2} -?[0-9]{1,6} [0-9:.]{0,9} ?[+-]?[0-9]{0,9}")
)
def test_retry_after_is_bounded_or_nothing(text: str) -> None:
    seconds = read_retry_after(text, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


@given(st.integers(-(10**6), 10**6))
def test_retry_after_as_a_date_is_the_distance_from_now(seconds: int) -> None:
    text = (NOW + timedelta(seconds=seconds)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert read_retry_after(text, NOW) == min(max(seconds, 0), MAX_RETRY_AFTER)


def test_the_outcome_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Sent(seconds=1).status = 200  # type: ignore[misc]
