from enum import StrEnum


class Origin(StrEnum):
    CLIENT = "client"
    ERASURE = "erasure"
    UNDO = "undo"
    WORKER = "worker"

    def __str__(self) -> str:
        return str(self.value)
