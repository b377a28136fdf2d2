from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.used_memory import UsedMemory


T = TypeVar("T", bound="AnswerDistilled")


@_attrs_define
class AnswerDistilled:
    """What the Answer Agent distilled from the candidates."""

    memories: list[UsedMemory]

    def to_dict(self) -> dict[str, Any]:
        memories = []
        for memories_item_data in self.memories:
            memories_item = memories_item_data.to_dict()
            memories.append(memories_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "memories": memories,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.used_memory import UsedMemory  # noqa: PLC0415

        d = dict(src_dict)
        memories = []
        _memories = d.pop("memories")
        for memories_item_data in _memories:
            memories_item = UsedMemory.from_dict(memories_item_data)

            memories.append(memories_item)

        answer_distilled = cls(
            memories=memories,
        )

        return answer_distilled
