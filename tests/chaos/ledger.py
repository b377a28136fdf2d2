"""What the clients saw: acknowledged turns, answers by status, and what no answer may look like."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

TOLERATED = {429, 502, 503, 504}
"""What a client may be answered while things fail; it asks again."""
TENANTS = 2
WAITED_FOR = {409}
"""Of a post alone: one with the same key may be under way."""


def tenant_of(client: int) -> int:
    """The tenant of a client, and so of every marker with its number."""
    return client % TENANTS


@dataclass(frozen=True)
class Acknowledged:
    """A turn whose 202 was read."""

    bank: str
    """Name of the tenant, and of the bank."""
    external_id: str
    turn_id: str
    marker: str
    client: int
    number: int
    """Its place among the client's turns."""


@dataclass
class Ledger:
    """Filled by all clients."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    """By kind of request and status, or what broke the connection."""
    wrong: list[str] = field(default_factory=list)
    """Answers with status 500 or another form than documented."""
    ingestions: dict[tuple[str, str], None] = field(default_factory=dict)
    """Bank and id of each post that is not known to be done, oldest first."""
    retried: set[str] = field(default_factory=set)
    """Turns that were or may have been put back after they had failed."""
    leaked: list[str] = field(default_factory=list)
    """Answers that showed one tenant what another's client had said."""
    duplicates: int = 0
    unacknowledged: list[str] = field(default_factory=list)
    """Posts that never got a 202."""

    def errors_500(self) -> int:
        return sum(count for name, count in self.statuses.items() if name.endswith(" 500"))
