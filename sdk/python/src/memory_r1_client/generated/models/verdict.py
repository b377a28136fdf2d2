from enum import StrEnum


class Verdict(StrEnum):
    APPLIED = "applied"
    REJECTED = "rejected"
    UNCHANGED = "unchanged"

    def __str__(self) -> str:
        return str(self.value)
