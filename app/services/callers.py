"""Who calls: a tenant, by which key, and what that key allows."""

from __future__ import annotations

from datetime import datetime
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


class Rights(Value):
    """What a key is made to allow."""

    scope: Scope = Scope.ADMIN
    banks: tuple[str, ...] | None = None
    """Names of the only banks that it is for, which need not exist yet; null: all."""
    expires_at: datetime | None = None
    """From when on it is worthless; null: never."""
    limits: Limits = Limits()


class Caller(Value):
    """The caller of one request."""

    tenant_id: UUID
    key_id: UUID | None = None
    """None where the service asks for no key, and on the command line."""
    scope: Scope = Scope.ADMIN
    banks: tuple[str, ...] | None = None
    """Names of the only banks that the key is for; None: of all."""
    expires_at: datetime | None = None
    """From when on the key is worthless; None: never."""
    limits: Limits = Limits()
    counted_as: UUID | None = None
    """The key whose use this one's is counted with, from which it was rotated; None: its own."""

    def may_see(self, bank: str) -> bool:
        """Whether the key is for this bank."""
        return self.banks is None or bank in self.banks

    def check_reach(self, scope: Scope, banks: tuple[str, ...] | None) -> None:
        """Raises `Forbidden` where a key of this scope and these banks reaches further than the caller."""
        if not self.scope.covers(scope):
            raise Forbidden("A key cannot make a key of a wider scope than its own.")
        if self.banks is not None and (banks is None or not set(banks) <= set(self.banks)):
            raise Forbidden("A key cannot make a key for more banks than its own.")

    def check_grant(self, rights: Rights) -> None:
        """Raises `Forbidden` where a key of such rights could do more, or for longer, than the caller."""
        self.check_reach(rights.scope, rights.banks)
        if self.expires_at is not None and (rights.expires_at is None or rights.expires_at > self.expires_at):
            raise Forbidden("A key cannot make a key that outlasts it.")
        for name in Limits.model_fields:
            own, wanted = getattr(self.limits, name), getattr(rights.limits, name)
            if own is not None and (wanted is None or wanted > own):
                raise Forbidden(f"A key cannot make a key with more {name} than its own.")

    def granting(self, rights: Rights) -> Rights:
        """These rights, with the caller's own end and limits where they name none."""
        own = {name: value for name, value in self.limits if value is not None}
        limits = own | {name: value for name, value in rights.limits if value is not None}
        expires_at = rights.expires_at or self.expires_at
        return rights.model_copy(update={"expires_at": expires_at, "limits": Limits(**limits)})
