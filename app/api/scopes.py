"""What each route asks of a key: the one list of it. A route that is not in it asks for the most powerful key.

A key for some banks sees no other. There every route answers as where no such bank is, and what could make one answers
403; both are told from the key alone, so that neither shows whether the bank exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.core.errors import Forbidden, UnknownBank
from app.services.callers import BANK_NAME, Caller, Scope

_BANK_NAME = re.compile(BANK_NAME)


@dataclass(frozen=True)
class Need:
    """What a caller must have."""

    scope: Scope
    makes_bank: bool = False
    """Whether the route can make the bank of its path."""
    shows_own: bool = False
    """Of a route without a bank in its path: whether it keeps to the banks of the key itself."""
    passes_foreign_keys: bool = False
    """Where no key is asked for: whether one that is not of this service's form counts as none."""

    def check(self, caller: Caller, bank: str | None) -> None:
        """Raises `Forbidden`, or `UnknownBank` for a bank that the key is not for."""
        if not caller.scope.covers(self.scope):
            raise Forbidden(f"This takes a key of the scope `{self.scope.value}`.")
        if bank is None:
            if caller.banks is not None and not self.shows_own:
                raise Forbidden("This takes a key that is for all banks.")
        elif _BANK_NAME.fullmatch(bank) and not caller.may_see(bank):
            if self.makes_bank:
                raise Forbidden("The key is not for this bank.")
            raise UnknownBank(bank)


PUBLIC = {"live", "ready"}
"""Operations that ask for no key."""
UNDECLARED = Need(Scope.ADMIN)
_READ, _WRITE, _ADMIN = Need(Scope.READ), Need(Scope.WRITE), Need(Scope.ADMIN)
NEEDS: dict[str, Need] = {
    "post_turns": Need(Scope.WRITE, makes_bank=True),
    "list_turns": _READ,
    "get_ingestion": _READ,
    "follow_ingestion": _READ,
    "retry_ingestion": _WRITE,
    "list_memories": _READ,
    "get_memory": _READ,
    "search_memories": _READ,
    "add_memory": _WRITE,
    "revise_memory": _WRITE,
    "remove_memory": _WRITE,
    "list_answers_of_memory": _READ,
    "get_turn": _READ,
    "list_operations": _READ,
    "get_operation": _READ,
    "undo_operation": _WRITE,
    "undo_ingestion": _WRITE,
    "answer_question": _READ,
    "get_answer": _READ,
    "list_banks": Need(Scope.READ, shows_own=True),
    "get_bank": _READ,
    "create_bank": Need(Scope.WRITE, makes_bank=True),
    "change_bank": _ADMIN,
    "delete_bank": _ADMIN,
    "erase_turn": _ADMIN,
    "list_erasures": _ADMIN,
    "get_erasure": _ADMIN,
    "export_bank": _ADMIN,
    "import_bank": Need(Scope.ADMIN, makes_bank=True),
    "create_key": _ADMIN,
    "list_keys": _ADMIN,
    "get_key": _ADMIN,
    "revoke_key": _ADMIN,
    "rotate_key": _ADMIN,
    "list_audit_events": _ADMIN,
    "create_webhook": _ADMIN,
    "list_webhooks": _ADMIN,
    "get_webhook": _ADMIN,
    "change_webhook": _ADMIN,
    "delete_webhook": _ADMIN,
    "rotate_webhook_secret": _ADMIN,
    "test_webhook": _ADMIN,
    "list_deliveries": _ADMIN,
    "retry_delivery": _ADMIN,
    # They find the bank in a header, or in the key, and check it themselves; OpenAI's clients always send some key.
    "create_chat_completion": Need(Scope.WRITE, shows_own=True, passes_foreign_keys=True),
    "list_models": Need(Scope.READ, shows_own=True, passes_foreign_keys=True),
    "get_model": Need(Scope.READ, shows_own=True, passes_foreign_keys=True),
    "call_mcp": Need(Scope.READ, shows_own=True),
    "call_mcp_of_bank": _READ,
}
"""By operation id."""


def need_of(operation_id: str | None) -> Need | None:
    """What an operation asks for; None for what is open to everybody."""
    return None if operation_id in PUBLIC else NEEDS.get(operation_id or "", UNDECLARED)
