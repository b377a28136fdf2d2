from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.found_memory import FoundMemory


T = TypeVar("T", bound="AnswerCandidates")


@_attrs_define
class AnswerCandidates:
    """What was retrieved for the question, best first."""

    candidates: list[FoundMemory]

    def to_dict(self) -> dict[str, Any]:
        candidates = []
        for candidates_item_data in self.candidates:
            candidates_item = candidates_item_data.to_dict()
            candidates.append(candidates_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "candidates": candidates,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.found_memory import FoundMemory  # noqa: PLC0415

        d = dict(src_dict)
        candidates = []
        _candidates = d.pop("candidates")
        for candidates_item_data in _candidates:
            candidates_item = FoundMemory.from_dict(candidates_item_data)

            candidates.append(candidates_item)

        answer_candidates = cls(
            candidates=candidates,
        )

        return answer_candidates
