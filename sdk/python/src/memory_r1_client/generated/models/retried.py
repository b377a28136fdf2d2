from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="Retried")


@_attrs_define
class Retried:
    """How many failed turns are worked on again."""

    turns: int

    def to_dict(self) -> dict[str, Any]:
        turns = self.turns

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "turns": turns,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        turns = d.pop("turns")

        retried = cls(
            turns=turns,
        )

        return retried
