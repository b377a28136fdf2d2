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
    from ..models.answer_distilled import AnswerDistilled


T = TypeVar("T", bound="DistilledEvent")


@_attrs_define
class DistilledEvent:
    """What was chosen of it."""

    data: AnswerDistilled
    """ What the Answer Agent distilled from the candidates. """
    event: Literal["distilled"] = "distilled"

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
        from ..models.answer_distilled import AnswerDistilled  # noqa: PLC0415

        d = dict(src_dict)
        event = cast(Literal["distilled"], d.pop("event"))
        if event != "distilled":
            raise ValueError(f"event must match const 'distilled', got '{event}'")

        data = AnswerDistilled.from_dict(d.pop("data"))

        distilled_event = cls(
            event=event,
            data=data,
        )

        return distilled_event
