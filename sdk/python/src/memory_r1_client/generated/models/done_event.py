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
    from ..models.answered import Answered


T = TypeVar("T", bound="DoneEvent")


@_attrs_define
class DoneEvent:
    """The last event of a question that was answered."""

    data: Answered
    """ An answer with everything that it stands on. """
    event: Literal["done"] = "done"

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
        from ..models.answered import Answered  # noqa: PLC0415

        d = dict(src_dict)
        event = cast(Literal["done"], d.pop("event"))
        if event != "done":
            raise ValueError(f"event must match const 'done', got '{event}'")

        data = Answered.from_dict(d.pop("data"))

        done_event = cls(
            event=event,
            data=data,
        )

        return done_event
