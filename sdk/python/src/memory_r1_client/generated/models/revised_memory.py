from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="RevisedMemory")


@_attrs_define
class RevisedMemory:
    """What a memory is to say from now on; at least one of the two."""

    text: None | str | Unset = UNSET
    """ Its new text; stays as it is if left out. """
    said_at: datetime.datetime | None | Unset = UNSET
    """ When that was said, with its offset; stays as it is if left out. """

    def to_dict(self) -> dict[str, Any]:
        text: None | str | Unset
        if isinstance(self.text, Unset):
            text = UNSET
        else:
            text = self.text

        said_at: None | str | Unset
        if isinstance(self.said_at, Unset):
            said_at = UNSET
        elif isinstance(self.said_at, datetime.datetime):
            said_at = self.said_at.isoformat()
        else:
            said_at = self.said_at

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if text is not UNSET:
            field_dict["text"] = text
        if said_at is not UNSET:
            field_dict["said_at"] = said_at

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_text(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        text = _parse_text(d.pop("text", UNSET))

        def _parse_said_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                said_at_type_0 = datetime.datetime.fromisoformat(data)

                return said_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        said_at = _parse_said_at(d.pop("said_at", UNSET))

        revised_memory = cls(
            text=text,
            said_at=said_at,
        )

        return revised_memory
