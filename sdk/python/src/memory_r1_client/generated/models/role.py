from enum import StrEnum


class Role(StrEnum):
    ANSWERER = "answerer"
    EXTRACTOR = "extractor"
    MANAGER = "manager"

    def __str__(self) -> str:
        return str(self.value)
