from enum import StrEnum


class OperationKind(StrEnum):
    ADD = "ADD"
    DELETE = "DELETE"
    NOOP = "NOOP"
    UPDATE = "UPDATE"

    def __str__(self) -> str:
        return str(self.value)
