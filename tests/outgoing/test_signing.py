"""Signatures, verified by the scheme's own library and by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from app.core.errors import InvalidInput
from app.outgoing.signing import check_secret, new_secret, signed_headers

BODIES = st.text().map(str.encode)
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
KEYS = st.binary(min_size=24, max_size=64)


def secret_of(key: bytes) -> SecretStr:
    return SecretStr("whsec_" + base64.b64encode(key).decode())


def verify(secret: SecretStr, headers: dict[str, str], body: bytes) -> None:
    Webhook(secret.get_secret_value()).verify(body, headers, json_parse=False)


def test_the_published_example_comes_out() -> None:
    secret = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    moment = datetime.fromtimestamp(1614265330, UTC)
    headers = signed_headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", moment, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(KEYS, IDS, st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1)), st.integers(-23, 23), BODIES)
def test_it_is_what_the_scheme_says_in_any_time_zone(
    key: bytes, message_id: str, moment: datetime, hours: int, body: bytes
) -> None:
    moment = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    headers = signed_headers([secret_of(key)], message_id, moment, body)
    seconds = int((moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1)
    signed = f"{message_id}.{seconds}.".encode() + body
    assert headers["webhook-timestamp"] == str(seconds)
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


@given(KEYS, IDS, BODIES, st.data())
def test_it_verifies_and_one_changed_byte_does_not(
    key: bytes, message_id: str, body: bytes, data: st.DataObject
) -> None:
    secret = secret_of(key)
    headers = signed_headers([secret], message_id, datetime.now(UTC), body)
    verify(secret, headers, body)
    changed_body = data.draw(BODIES.filter(lambda other: other != body))
    changed_id = data.draw(IDS.filter(lambda other: other != message_id))
    later = str(int(headers["webhook-timestamp"]) + data.draw(st.integers(1, 60)))
    for forged, what in [
        (headers, changed_body),
        ({**headers, "webhook-id": changed_id}, body),
        ({**headers, "webhook-timestamp": later}, body),
    ]:
        with pytest.raises(WebhookVerificationError):
            verify(secret, forged, what)


@given(KEYS, KEYS, KEYS)
def test_while_secrets_rotate_each_verifies_and_no_other(one: bytes, two: bytes, three: bytes) -> None:
    assume(three not in (one, two))
    headers = signed_headers([secret_of(one), secret_of(two)], "msg_1", datetime.now(UTC), b"{}")
    assert len(headers["webhook-signature"].split(" ")) == 2
    for key in (one, two):
        verify(secret_of(key), headers, b"{}")
    with pytest.raises(WebhookVerificationError):
        verify(secret_of(three), headers, b"{}")


def test_new_secrets_are_of_the_form_and_differ() -> None:
    made = {new_secret().get_secret_value() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret) for secret in made)
    check_secret(new_secret())


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        base64.b64encode(b"k" * 32).decode(),
        "whsec_" + base64.b64encode(b"k" * 23).decode(),
        "whsec_" + base64.b64encode(b"k" * 65).decode(),
        "whsec_" + "!" * 44,
        "whsec_" + "ž" * 44,
        "whsec_" + base64.b64encode(b"k" * 25).decode().rstrip("="),
        "whsec_ " + base64.b64encode(b"k" * 32).decode(),
        "whsk_" + base64.b64encode(b"k" * 32).decode(),
    ],
)
def test_other_secrets_are_refused_and_not_quoted(secret: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        signed_headers([SecretStr(secret)], "msg_1", datetime.now(UTC), b"{}")
    assert len(secret) < 10 or secret not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\r\nx: y", "ž", "x" * 201, "a\n"])
def test_an_id_that_could_be_mistaken_is_refused(message_id: str) -> None:
    with pytest.raises(InvalidInput, match="message id"):
        signed_headers([new_secret()], message_id, datetime.now(UTC), b"{}")


def test_no_secret_a_naive_time_and_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one"):
        signed_headers([], "msg_1", datetime.now(UTC), b"{}")
    with pytest.raises(InvalidInput, match="time zone"):
        signed_headers([new_secret()], "msg_1", datetime(2026, 1, 1), b"{}")
    with pytest.raises(InvalidInput, match="UTF-8") as caught:
        signed_headers([new_secret()], "msg_1", datetime.now(UTC), b"private \xff")
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
