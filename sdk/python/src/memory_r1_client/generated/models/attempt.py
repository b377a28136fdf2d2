from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.attempt_error_type_0 import AttemptErrorType0

T = TypeVar("T", bound="Attempt")


@_attrs_define
class Attempt:
    """One try at a delivery."""

    at: datetime.datetime
    status: int | None
    error: AttemptErrorType0 | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        at = self.at.isoformat()

        status: int | None
        status = self.status

        error: None | str
        if isinstance(self.error, AttemptErrorType0):
            error = self.error.value
        else:
            error = self.error

        seconds = self.seconds

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "at": at,
                "status": status,
                "error": error,
                "seconds": seconds,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        at = datetime.datetime.fromisoformat(d.pop("at"))

        def _parse_status(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        status = _parse_status(d.pop("status"))

        def _parse_error(data: object) -> AttemptErrorType0 | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                error_type_0 = AttemptErrorType0(data)

                return error_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AttemptErrorType0 | None, data)

        error = _parse_error(d.pop("error"))

        seconds = d.pop("seconds")

        attempt = cls(
            at=at,
            status=status,
            error=error,
            seconds=seconds,
        )

        return attempt
