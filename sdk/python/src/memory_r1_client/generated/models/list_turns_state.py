from enum import StrEnum


class ListTurnsState(StrEnum):
    DONE = "done"
    FAILED = "failed"
    QUEUED = "queued"
    RETRYING = "retrying"

    def __str__(self) -> str:
        return str(self.value)
