from enum import StrEnum


class Derived(StrEnum):
    ALL = "all"
    ONLY = "only"

    def __str__(self) -> str:
        return str(self.value)
