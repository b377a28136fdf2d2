from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

T = TypeVar("T", bound="Memory")


@_attrs_define
class Memory:
    """One entry of a bank, in one version."""

    id: UUID
    version: int
    text: str
    speaker: str
    said_at: datetime.datetime
    sources: list[UUID]
    created_at: datetime.datetime
    updated_at: datetime.datetime

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        version = self.version

        text = self.text

        speaker = self.speaker

        said_at = self.said_at.isoformat()

        sources = []
        for sources_item_data in self.sources:
            sources_item = str(sources_item_data)
            sources.append(sources_item)

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "id": id,
                "version": version,
                "text": text,
                "speaker": speaker,
                "said_at": said_at,
                "sources": sources,
                "created_at": created_at,
                "updated_at": updated_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        version = d.pop("version")

        text = d.pop("text")

        speaker = d.pop("speaker")

        said_at = datetime.datetime.fromisoformat(d.pop("said_at"))

        sources = []
        _sources = d.pop("sources")
        for sources_item_data in _sources:
            sources_item = UUID(sources_item_data)

            sources.append(sources_item)

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

        memory = cls(
            id=id,
            version=version,
            text=text,
            speaker=speaker,
            said_at=said_at,
            sources=sources,
            created_at=created_at,
            updated_at=updated_at,
        )

        return memory
