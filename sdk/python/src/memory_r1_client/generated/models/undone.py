from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.operation_record import OperationRecord


T = TypeVar("T", bound="Undone")


@_attrs_define
class Undone:
    """What an undo did: operations in their own right, which can be undone in turn."""

    operations: list[OperationRecord]
    skipped: list[int] | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        operations = []
        for operations_item_data in self.operations:
            operations_item = operations_item_data.to_dict()
            operations.append(operations_item)

        skipped: list[int] | Unset = UNSET
        if not isinstance(self.skipped, Unset):
            skipped = self.skipped

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "operations": operations,
            }
        )
        if skipped is not UNSET:
            field_dict["skipped"] = skipped

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.operation_record import OperationRecord  # noqa: PLC0415

        d = dict(src_dict)
        operations = []
        _operations = d.pop("operations")
        for operations_item_data in _operations:
            operations_item = OperationRecord.from_dict(operations_item_data)

            operations.append(operations_item)

        skipped = cast(list[int], d.pop("skipped", UNSET))

        undone = cls(
            operations=operations,
            skipped=skipped,
        )

        return undone
