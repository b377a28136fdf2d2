from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.source_turn import SourceTurn


T = TypeVar("T", bound="UsedMemory")


@_attrs_define
class UsedMemory:
    """A memory that an answer stands on, in the version that was used."""

    id: UUID
    version: int
    text: str
    speaker: str
    said_at: datetime.datetime
    sources: list[SourceTurn]

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        version = self.version

        text = self.text

        speaker = self.speaker

        said_at = self.said_at.isoformat()

        sources = []
        for sources_item_data in self.sources:
            sources_item = sources_item_data.to_dict()
            sources.append(sources_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "id": id,
                "version": version,
                "text": text,
                "speaker": speaker,
                "said_at": said_at,
                "sources": sources,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.source_turn import SourceTurn  # noqa: PLC0415

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        version = d.pop("version")

        text = d.pop("text")

        speaker = d.pop("speaker")

        said_at = datetime.datetime.fromisoformat(d.pop("said_at"))

        sources = []
        _sources = d.pop("sources")
        for sources_item_data in _sources:
            sources_item = SourceTurn.from_dict(sources_item_data)

            sources.append(sources_item)

        used_memory = cls(
            id=id,
            version=version,
            text=text,
            speaker=speaker,
            said_at=said_at,
            sources=sources,
        )

        return used_memory
