from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

T = TypeVar("T", bound="FoundMemory")


@_attrs_define
class FoundMemory:
    """A candidate before the Answer Agent has chosen."""

    id: UUID
    version: int
    text: str
    score: float
    sources: list[UUID]
    external_ids: list[str]

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        version = self.version

        text = self.text

        score = self.score

        sources = []
        for sources_item_data in self.sources:
            sources_item = str(sources_item_data)
            sources.append(sources_item)

        external_ids = self.external_ids

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "id": id,
                "version": version,
                "text": text,
                "score": score,
                "sources": sources,
                "external_ids": external_ids,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        version = d.pop("version")

        text = d.pop("text")

        score = d.pop("score")

        sources = []
        _sources = d.pop("sources")
        for sources_item_data in _sources:
            sources_item = UUID(sources_item_data)

            sources.append(sources_item)

        external_ids = cast(list[str], d.pop("external_ids"))

        found_memory = cls(
            id=id,
            version=version,
            text=text,
            score=score,
            sources=sources,
            external_ids=external_ids,
        )

        return found_memory
