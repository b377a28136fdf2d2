from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

from ..models.state import State

T = TypeVar("T", bound="PostedReceipt")


@_attrs_define
class PostedReceipt:
    """Everything that was posted is stored for good; the worker takes it from there."""

    ingestion_id: UUID
    state: State
    """ Of a turn, and of an ingestion as the sum of its turns. """
    turn_ids: list[UUID]
    duplicates: int
    earlier_ingestion_ids: list[UUID]

    def to_dict(self) -> dict[str, Any]:
        ingestion_id = str(self.ingestion_id)

        state = self.state.value

        turn_ids = []
        for turn_ids_item_data in self.turn_ids:
            turn_ids_item = str(turn_ids_item_data)
            turn_ids.append(turn_ids_item)

        duplicates = self.duplicates

        earlier_ingestion_ids = []
        for earlier_ingestion_ids_item_data in self.earlier_ingestion_ids:
            earlier_ingestion_ids_item = str(earlier_ingestion_ids_item_data)
            earlier_ingestion_ids.append(earlier_ingestion_ids_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "ingestion_id": ingestion_id,
                "state": state,
                "turn_ids": turn_ids,
                "duplicates": duplicates,
                "earlier_ingestion_ids": earlier_ingestion_ids,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        ingestion_id = UUID(d.pop("ingestion_id"))

        state = State(d.pop("state"))

        turn_ids = []
        _turn_ids = d.pop("turn_ids")
        for turn_ids_item_data in _turn_ids:
            turn_ids_item = UUID(turn_ids_item_data)

            turn_ids.append(turn_ids_item)

        duplicates = d.pop("duplicates")

        earlier_ingestion_ids = []
        _earlier_ingestion_ids = d.pop("earlier_ingestion_ids")
        for earlier_ingestion_ids_item_data in _earlier_ingestion_ids:
            earlier_ingestion_ids_item = UUID(earlier_ingestion_ids_item_data)

            earlier_ingestion_ids.append(earlier_ingestion_ids_item)

        posted_receipt = cls(
            ingestion_id=ingestion_id,
            state=state,
            turn_ids=turn_ids,
            duplicates=duplicates,
            earlier_ingestion_ids=earlier_ingestion_ids,
        )

        return posted_receipt
