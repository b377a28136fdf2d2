from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="NewMemory")


@_attrs_define
class NewMemory:
    """A memory to add; it comes from no turn."""

    text: str
    """ What is to be remembered; kept as one line. """
    speaker: str
    """ Whose memory it is. """
    said_at: datetime.datetime | None | Unset = UNSET
    """ When it was said, with its offset; now if left out. """

    def to_dict(self) -> dict[str, Any]:
        text = self.text

        speaker = self.speaker

        said_at: None | str | Unset
        if isinstance(self.said_at, Unset):
            said_at = UNSET
        elif isinstance(self.said_at, datetime.datetime):
            said_at = self.said_at.isoformat()
        else:
            said_at = self.said_at

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "text": text,
                "speaker": speaker,
            }
        )
        if said_at is not UNSET:
            field_dict["said_at"] = said_at

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        text = d.pop("text")

        speaker = d.pop("speaker")

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

        new_memory = cls(
            text=text,
            speaker=speaker,
            said_at=said_at,
        )

        return new_memory
