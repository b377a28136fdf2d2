from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

T = TypeVar("T", bound="MemoryVersion")


@_attrs_define
class MemoryVersion:
    """A memory in one version: when it was what the bank remembered, and what made it so."""

    id: UUID
    version: int
    text: str
    speaker: str
    said_at: datetime.datetime
    sources: list[UUID]
    created_at: datetime.datetime
    updated_at: datetime.datetime
    valid_from: datetime.datetime
    valid_to: datetime.datetime | None
    restores: int | None
    operation: int | None

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

        valid_from = self.valid_from.isoformat()

        valid_to: None | str
        if isinstance(self.valid_to, datetime.datetime):
            valid_to = self.valid_to.isoformat()
        else:
            valid_to = self.valid_to

        restores: int | None
        restores = self.restores

        operation: int | None
        operation = self.operation

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
                "valid_from": valid_from,
                "valid_to": valid_to,
                "restores": restores,
                "operation": operation,
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

        valid_from = datetime.datetime.fromisoformat(d.pop("valid_from"))

        def _parse_valid_to(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                valid_to_type_0 = datetime.datetime.fromisoformat(data)

                return valid_to_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        valid_to = _parse_valid_to(d.pop("valid_to"))

        def _parse_restores(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        restores = _parse_restores(d.pop("restores"))

        def _parse_operation(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        operation = _parse_operation(d.pop("operation"))

        memory_version = cls(
            id=id,
            version=version,
            text=text,
            speaker=speaker,
            said_at=said_at,
            sources=sources,
            created_at=created_at,
            updated_at=updated_at,
            valid_from=valid_from,
            valid_to=valid_to,
            restores=restores,
            operation=operation,
        )

        return memory_version
