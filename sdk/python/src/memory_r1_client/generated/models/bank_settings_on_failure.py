from enum import StrEnum


class BankSettingsOnFailure(StrEnum):
    SET_ASIDE = "set_aside"
    WAIT = "wait"

    def __str__(self) -> str:
        return str(self.value)
