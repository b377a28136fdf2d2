from __future__ import annotations

from collections.abc import Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeVar,
    cast,
)

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.turn_progress import TurnProgress


T = TypeVar("T", bound="TurnEvent")


@_attrs_define
class TurnEvent:
    """A turn that is done or has failed."""

    id: str
    """ Its place; sent as `Last-Event-ID` it goes on after it. """
    data: TurnProgress
    """ What became of one turn. """
    event: Literal["turn"] = "turn"

    def to_dict(self) -> dict[str, Any]:
        event = self.event

        id = self.id

        data = self.data.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "event": event,
                "id": id,
                "data": data,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.turn_progress import TurnProgress  # noqa: PLC0415

        d = dict(src_dict)
        event = cast(Literal["turn"], d.pop("event"))
        if event != "turn":
            raise ValueError(f"event must match const 'turn', got '{event}'")

        id = d.pop("id")

        data = TurnProgress.from_dict(d.pop("data"))

        turn_event = cls(
            event=event,
            id=id,
            data=data,
        )

        return turn_event
