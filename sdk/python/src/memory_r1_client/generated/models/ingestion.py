from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

from ..models.state import State

if TYPE_CHECKING:
    from ..models.turn_progress import TurnProgress


T = TypeVar("T", bound="Ingestion")


@_attrs_define
class Ingestion:
    """One post of turns and how far it got."""

    id: UUID
    state: State
    """ Of a turn, and of an ingestion as the sum of its turns. """
    created_at: datetime.datetime
    turns: list[TurnProgress]

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        state = self.state.value

        created_at = self.created_at.isoformat()

        turns = []
        for turns_item_data in self.turns:
            turns_item = turns_item_data.to_dict()
            turns.append(turns_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "id": id,
                "state": state,
                "created_at": created_at,
                "turns": turns,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.turn_progress import TurnProgress  # noqa: PLC0415

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        state = State(d.pop("state"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        turns = []
        _turns = d.pop("turns")
        for turns_item_data in _turns:
            turns_item = TurnProgress.from_dict(turns_item_data)

            turns.append(turns_item)

        ingestion = cls(
            id=id,
            state=state,
            created_at=created_at,
            turns=turns,
        )

        return ingestion
