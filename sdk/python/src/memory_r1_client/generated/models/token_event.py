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
    from ..models.answer_token import AnswerToken


T = TypeVar("T", bound="TokenEvent")


@_attrs_define
class TokenEvent:
    """A piece of the answer's text."""

    data: AnswerToken
    """ The next characters of the answer. """
    event: Literal["token"] = "token"

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
        from ..models.answer_token import AnswerToken  # noqa: PLC0415

        d = dict(src_dict)
        event = cast(Literal["token"], d.pop("event"))
        if event != "token":
            raise ValueError(f"event must match const 'token', got '{event}'")

        data = AnswerToken.from_dict(d.pop("data"))

        token_event = cls(
            event=event,
            data=data,
        )

        return token_event
