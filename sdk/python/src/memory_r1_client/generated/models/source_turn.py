from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

T = TypeVar("T", bound="SourceTurn")


@_attrs_define
class SourceTurn:
    """A turn that a memory came from."""

    id: UUID
    external_id: None | str
    speaker: str
    text: str
    said_at: datetime.datetime

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        external_id: None | str
        external_id = self.external_id

        speaker = self.speaker

        text = self.text

        said_at = self.said_at.isoformat()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "id": id,
                "external_id": external_id,
                "speaker": speaker,
                "text": text,
                "said_at": said_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        def _parse_external_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        external_id = _parse_external_id(d.pop("external_id"))

        speaker = d.pop("speaker")

        text = d.pop("text")

        said_at = datetime.datetime.fromisoformat(d.pop("said_at"))

        source_turn = cls(
            id=id,
            external_id=external_id,
            speaker=speaker,
            text=text,
            said_at=said_at,
        )

        return source_turn
