from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.on_failure import OnFailure

T = TypeVar("T", bound="BankSummary")


@_attrs_define
class BankSummary:
    """A bank as its owner sees it."""

    name: str
    turns: int
    memories: int
    speakers: list[str]
    embedding_model: str
    embedding_dimension: int
    on_failure: OnFailure
    """ What a bank does about a turn that failed for good. """
    blocked_by: None | UUID
    created_at: datetime.datetime

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        turns = self.turns

        memories = self.memories

        speakers = self.speakers

        embedding_model = self.embedding_model

        embedding_dimension = self.embedding_dimension

        on_failure = self.on_failure.value

        blocked_by: None | str
        if isinstance(self.blocked_by, UUID):
            blocked_by = str(self.blocked_by)
        else:
            blocked_by = self.blocked_by

        created_at = self.created_at.isoformat()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "name": name,
                "turns": turns,
                "memories": memories,
                "speakers": speakers,
                "embedding_model": embedding_model,
                "embedding_dimension": embedding_dimension,
                "on_failure": on_failure,
                "blocked_by": blocked_by,
                "created_at": created_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        name = d.pop("name")

        turns = d.pop("turns")

        memories = d.pop("memories")

        speakers = cast(list[str], d.pop("speakers"))

        embedding_model = d.pop("embedding_model")

        embedding_dimension = d.pop("embedding_dimension")

        on_failure = OnFailure(d.pop("on_failure"))

        def _parse_blocked_by(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                blocked_by_type_0 = UUID(data)

                return blocked_by_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        blocked_by = _parse_blocked_by(d.pop("blocked_by"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        bank_summary = cls(
            name=name,
            turns=turns,
            memories=memories,
            speakers=speakers,
            embedding_model=embedding_model,
            embedding_dimension=embedding_dimension,
            on_failure=on_failure,
            blocked_by=blocked_by,
            created_at=created_at,
        )

        return bank_summary
