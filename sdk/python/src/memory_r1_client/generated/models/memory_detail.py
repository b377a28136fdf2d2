from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.memory import Memory
    from ..models.memory_version import MemoryVersion
    from ..models.source_turn import SourceTurn


T = TypeVar("T", bound="MemoryDetail")


@_attrs_define
class MemoryDetail:
    """A memory with its versions and the turns that it came from."""

    memory: Memory
    """ One entry of a bank, in one version. """
    deleted: bool
    versions: list[MemoryVersion]
    sources: list[SourceTurn]

    def to_dict(self) -> dict[str, Any]:
        memory = self.memory.to_dict()

        deleted = self.deleted

        versions = []
        for versions_item_data in self.versions:
            versions_item = versions_item_data.to_dict()
            versions.append(versions_item)

        sources = []
        for sources_item_data in self.sources:
            sources_item = sources_item_data.to_dict()
            sources.append(sources_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "memory": memory,
                "deleted": deleted,
                "versions": versions,
                "sources": sources,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.memory import Memory  # noqa: PLC0415
        from ..models.memory_version import MemoryVersion  # noqa: PLC0415
        from ..models.source_turn import SourceTurn  # noqa: PLC0415

        d = dict(src_dict)
        memory = Memory.from_dict(d.pop("memory"))

        deleted = d.pop("deleted")

        versions = []
        _versions = d.pop("versions")
        for versions_item_data in _versions:
            versions_item = MemoryVersion.from_dict(versions_item_data)

            versions.append(versions_item)

        sources = []
        _sources = d.pop("sources")
        for sources_item_data in _sources:
            sources_item = SourceTurn.from_dict(sources_item_data)

            sources.append(sources_item)

        memory_detail = cls(
            memory=memory,
            deleted=deleted,
            versions=versions,
            sources=sources,
        )

        return memory_detail
