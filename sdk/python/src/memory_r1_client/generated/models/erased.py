from enum import StrEnum


class Erased(StrEnum):
    BANK = "bank"
    TURN = "turn"

    def __str__(self) -> str:
        return str(self.value)
