"""The four operations of the Memory Manager, as decided; `app.core.changes` checks them against reality."""

from __future__ import annotations

from enum import StrEnum

from app.core.values import Value


class OperationKind(StrEnum):
    """Memory-R1, section 3: what may be done with a fact."""

    ADD = "ADD"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    NOOP = "NOOP"


class Operation(Value):
    """One decision; ordinals count from 1, as the model saw them."""

    kind: OperationKind
    fact: int
    memory: int | None = None
    text: str | None = None
    """The merged text of an UPDATE; an ADD stores the fact as it stands."""
