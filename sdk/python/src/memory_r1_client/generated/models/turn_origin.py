from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.memory_version import MemoryVersion
    from ..models.turn_progress import TurnProgress


T = TypeVar("T", bound="TurnOrigin")


@_attrs_define
class TurnOrigin:
    """A turn with all that came from it."""

    turn: TurnProgress
    """ What became of one turn. """
    ingestion_id: UUID
    received_at: datetime.datetime
    memories: list[MemoryVersion]

    def to_dict(self) -> dict[str, Any]:
        turn = self.turn.to_dict()

        ingestion_id = str(self.ingestion_id)

        received_at = self.received_at.isoformat()

        memories = []
        for memories_item_data in self.memories:
            memories_item = memories_item_data.to_dict()
            memories.append(memories_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "turn": turn,
                "ingestion_id": ingestion_id,
                "received_at": received_at,
                "memories": memories,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.memory_version import MemoryVersion  # noqa: PLC0415
        from ..models.turn_progress import TurnProgress  # noqa: PLC0415

        d = dict(src_dict)
        turn = TurnProgress.from_dict(d.pop("turn"))

        ingestion_id = UUID(d.pop("ingestion_id"))

        received_at = datetime.datetime.fromisoformat(d.pop("received_at"))

        memories = []
        _memories = d.pop("memories")
        for memories_item_data in _memories:
            memories_item = MemoryVersion.from_dict(memories_item_data)

            memories.append(memories_item)

        turn_origin = cls(
            turn=turn,
            ingestion_id=ingestion_id,
            received_at=received_at,
            memories=memories,
        )

        return turn_origin
