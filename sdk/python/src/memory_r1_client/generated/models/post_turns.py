from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.posted_turn import PostedTurn


T = TypeVar("T", bound="PostTurns")


@_attrs_define
class PostTurns:
    """One or many turns, in the order in which they were said."""

    turns: list[PostedTurn]

    def to_dict(self) -> dict[str, Any]:
        turns = []
        for turns_item_data in self.turns:
            turns_item = turns_item_data.to_dict()
            turns.append(turns_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "turns": turns,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.posted_turn import PostedTurn  # noqa: PLC0415

        d = dict(src_dict)
        turns = []
        _turns = d.pop("turns")
        for turns_item_data in _turns:
            turns_item = PostedTurn.from_dict(turns_item_data)

            turns.append(turns_item)

        post_turns = cls(
            turns=turns,
        )

        return post_turns
