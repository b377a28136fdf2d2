from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="RejectedFact")


@_attrs_define
class RejectedFact:
    """A fact that the turn does not support."""

    text: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        text = self.text

        reason = self.reason

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "text": text,
                "reason": reason,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        text = d.pop("text")

        reason = d.pop("reason")

        rejected_fact = cls(
            text=text,
            reason=reason,
        )

        return rejected_fact
