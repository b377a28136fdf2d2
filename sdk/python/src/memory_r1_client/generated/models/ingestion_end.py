from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

from ..models.state import State

T = TypeVar("T", bound="IngestionEnd")


@_attrs_define
class IngestionEnd:
    """How an ingestion ended: none of its turns waits to be worked on."""

    id: UUID
    state: State
    """ Of a turn, and of an ingestion as the sum of its turns. """
    done: int
    failed: int

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        state = self.state.value

        done = self.done

        failed = self.failed

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "id": id,
                "state": state,
                "done": done,
                "failed": failed,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        state = State(d.pop("state"))

        done = d.pop("done")

        failed = d.pop("failed")

        ingestion_end = cls(
            id=id,
            state=state,
            done=done,
            failed=failed,
        )

        return ingestion_end
