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
    from ..models.answer_reset import AnswerReset


T = TypeVar("T", bound="ResetEvent")


@_attrs_define
class ResetEvent:
    """The memories and the text that were told do not hold; both come anew."""

    data: AnswerReset
    """ What was told of memories and text does not hold: both come anew. """
    event: Literal["reset"] = "reset"

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
        from ..models.answer_reset import AnswerReset  # noqa: PLC0415

        d = dict(src_dict)
        event = cast(Literal["reset"], d.pop("event"))
        if event != "reset":
            raise ValueError(f"event must match const 'reset', got '{event}'")

        data = AnswerReset.from_dict(d.pop("data"))

        reset_event = cls(
            event=event,
            data=data,
        )

        return reset_event
