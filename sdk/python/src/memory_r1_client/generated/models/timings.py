from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="Timings")


@_attrs_define
class Timings:
    """Seconds spent on each step of an answer."""

    embedding: float
    recall: float
    model: float
    total: float

    def to_dict(self) -> dict[str, Any]:
        embedding = self.embedding

        recall = self.recall

        model = self.model

        total = self.total

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "embedding": embedding,
                "recall": recall,
                "model": model,
                "total": total,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        embedding = d.pop("embedding")

        recall = d.pop("recall")

        model = d.pop("model")

        total = d.pop("total")

        timings = cls(
            embedding=embedding,
            recall=recall,
            model=model,
            total=total,
        )

        return timings
