"""What clients read of the operation log."""

from __future__ import annotations

from app.core.values import Value
from app.db.oplog import OperationRecord


class OperationList(Value):
    """A page of the operation log."""

    operations: tuple[OperationRecord, ...]
    next_cursor: str | None
    """Pass it as `cursor`, with the same `order` and filters, for the next page; null on the last."""
