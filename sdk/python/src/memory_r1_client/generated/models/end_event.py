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
    from ..models.ingestion_end import IngestionEnd


T = TypeVar("T", bound="EndEvent")


@_attrs_define
class EndEvent:
    """The last event of an ingestion that has ended."""

    data: IngestionEnd
    """ How an ingestion ended: none of its turns waits to be worked on. """
    event: Literal["end"] = "end"

    def to_dict(self) -> dict[str, Any]:
        event = self.event

        data = self.data.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "event": event,
                "data": data,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.ingestion_end import IngestionEnd  # noqa: PLC0415

        d = dict(src_dict)
        event = cast(Literal["end"], d.pop("event"))
        if event != "end":
            raise ValueError(f"event must match const 'end', got '{event}'")

        data = IngestionEnd.from_dict(d.pop("data"))

        end_event = cls(
            event=event,
            data=data,
        )

        return end_event
