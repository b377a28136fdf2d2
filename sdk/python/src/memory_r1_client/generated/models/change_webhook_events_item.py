from enum import StrEnum


class ChangeWebhookEventsItem(StrEnum):
    BANK_ERASED = "bank.erased"
    INGESTION_DONE = "ingestion.done"
    INGESTION_FAILED = "ingestion.failed"
    MEMORY_CHANGED = "memory.changed"
    TURN_ERASED = "turn.erased"

    def __str__(self) -> str:
        return str(self.value)
