"""Who calls: a tenant, by which key, and what that key allows."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from app.core.errors import Forbidden
from app.core.values import Value

BANK_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$"
"""What can name a bank."""
DEFAULT_OVERLAP_SECONDS = 86_400
"""For how long a rotated key stays valid, unless something else is asked for."""
MAX_OVERLAP_SECONDS = 30 * 86_400


class Scope(StrEnum):
    """What a key may do; each scope holds those below it."""

    READ = "read"
    """Read, search and ask."""
    WRITE = "write"
    """Also change what a bank holds: turns, memories, undoing."""
    ADMIN = "admin"
    """Also keys, audit, webhooks, erasing, export and import, settings of banks."""

    def covers(self, other: Scope) -> bool:
        """Whether this scope allows what the other does."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class Limits(Value):
    """How much a key may do; None is without limit."""

    requests_per_minute: int | None = None
    turns_per_day: int | None = None
    """Turns stored, by days of UTC."""
    questions_per_day: int | None = None


class Caller(Value):
    """The caller of one request."""

    tenant_id: UUID
    key_id: UUID | None = None
    """None where the service asks for no key, and on the command line."""
    scope: Scope = Scope.ADMIN
    banks: tuple[str, ...] | None = None
    """Names of the only banks that the key is for; None: of all."""
    limits: Limits = Limits()

    def may_see(self, bank: str) -> bool:
        """Whether the key is for this bank."""
        return self.banks is None or bank in self.banks

    def check_grant(self, scope: Scope, banks: tuple[str, ...] | None) -> None:
        """Raises `Forbidden` where a key of such rights could do more than the caller."""
        if not self.scope.covers(scope):
            raise Forbidden("A key cannot make a key of a wider scope than its own.")
        if self.banks is not None and (banks is None or not set(banks) <= set(self.banks)):
            raise Forbidden("A key cannot make a key for more banks than its own.")
