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
    from ..models.answer_candidates import AnswerCandidates


T = TypeVar("T", bound="CandidatesEvent")


@_attrs_define
class CandidatesEvent:
    """The first event of an answer: what was retrieved."""

    data: AnswerCandidates
    """ What was retrieved for the question, best first. """
    event: Literal["candidates"] = "candidates"

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
        from ..models.answer_candidates import AnswerCandidates  # noqa: PLC0415

        d = dict(src_dict)
        event = cast(Literal["candidates"], d.pop("event"))
        if event != "candidates":
            raise ValueError(f"event must match const 'candidates', got '{event}'")

        data = AnswerCandidates.from_dict(d.pop("data"))

        candidates_event = cls(
            event=event,
            data=data,
        )

        return candidates_event
