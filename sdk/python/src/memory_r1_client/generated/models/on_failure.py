from enum import StrEnum


class OnFailure(StrEnum):
    SET_ASIDE = "set_aside"
    WAIT = "wait"

    def __str__(self) -> str:
        return str(self.value)
