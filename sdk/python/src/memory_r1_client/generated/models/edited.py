from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.memory import Memory


T = TypeVar("T", bound="Edited")


@_attrs_define
class Edited:
    """What a client's write came to."""

    memory: Memory
    """ One entry of a bank, in one version. """
    operation: int

    def to_dict(self) -> dict[str, Any]:
        memory = self.memory.to_dict()

        operation = self.operation

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "memory": memory,
                "operation": operation,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.memory import Memory  # noqa: PLC0415

        d = dict(src_dict)
        memory = Memory.from_dict(d.pop("memory"))

        operation = d.pop("operation")

        edited = cls(
            memory=memory,
            operation=operation,
        )

        return edited
