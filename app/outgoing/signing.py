"""Signatures of the Standard Webhooks scheme (github.com/standard-webhooks/standard-webhooks)."""

from __future__ import annotations

import base64
import re
import secrets as random_secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import SecretStr
from standardwebhooks import Webhook

from app.core.errors import InvalidInput

_PREFIX = "whsec_"
_SECRET_BYTES = 32
_FEWEST_BYTES, _MOST_BYTES = 24, 64
# A dot would let one signed text be read as two different messages.
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


def new_secret() -> SecretStr:
    """A random secret: "whsec_" and base64 of 32 bytes."""
    return SecretStr(_PREFIX + base64.b64encode(random_secrets.token_bytes(_SECRET_BYTES)).decode())


def check_secret(secret: SecretStr) -> None:
    """Raise `InvalidInput` unless the secret is "whsec_" and padded base64 of 24 to 64 bytes."""
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not (text.startswith(_PREFIX) and _FEWEST_BYTES <= len(key) <= _MOST_BYTES):
        raise InvalidInput(f"The secret must be {_PREFIX!r} and base64 of {_FEWEST_BYTES} to {_MOST_BYTES} bytes.")


def signed_headers(secrets: Sequence[SecretStr], message_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp` and `webhook-signature`, with one signature for each secret.

    Receivers refuse a timestamp more than five minutes off: give each attempt's own. Raises `InvalidInput` where there
    is no secret or a malformed one, the id is not 1 to 200 letters, digits, `_` or `-`, the timestamp is naive, or the
    body is not UTF-8.
    """
    if not secrets:
        raise InvalidInput("A webhook needs at least one secret.")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise InvalidInput("The message id must be 1 to 200 letters, digits, '_' or '-'.")
    if timestamp.utcoffset() is None:
        raise InvalidInput("The timestamp must have a time zone.")
    for secret in secrets:
        check_secret(secret)
    # The library takes the clock's reading for UTC, whatever the zone.
    moment = timestamp.astimezone(UTC).replace(microsecond=0)
    text = _text_of(body)
    signatures = [Webhook(secret.get_secret_value()).sign(message_id, moment, text) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _text_of(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        # Not chained: that error carries the body.
        raise InvalidInput("The body must be UTF-8.") from None
