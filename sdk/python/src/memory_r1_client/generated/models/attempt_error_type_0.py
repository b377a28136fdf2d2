from enum import StrEnum


class AttemptErrorType0(StrEnum):
    BROKEN_REPLY = "broken-reply"
    REDIRECT = "redirect"
    REFUSED_ADDRESS = "refused-address"
    STATUS = "status"
    TIMED_OUT = "timed-out"
    TLS = "tls"
    UNREACHABLE = "unreachable"

    def __str__(self) -> str:
        return str(self.value)
