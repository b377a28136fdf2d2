from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.bank_summary import BankSummary


T = TypeVar("T", bound="BankList")


@_attrs_define
class BankList:
    """A page of banks by name."""

    banks: list[BankSummary]
    next_cursor: None | str

    def to_dict(self) -> dict[str, Any]:
        banks = []
        for banks_item_data in self.banks:
            banks_item = banks_item_data.to_dict()
            banks.append(banks_item)

        next_cursor: None | str
        next_cursor = self.next_cursor

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "banks": banks,
                "next_cursor": next_cursor,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.bank_summary import BankSummary  # noqa: PLC0415

        d = dict(src_dict)
        banks = []
        _banks = d.pop("banks")
        for banks_item_data in _banks:
            banks_item = BankSummary.from_dict(banks_item_data)

            banks.append(banks_item)

        def _parse_next_cursor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        next_cursor = _parse_next_cursor(d.pop("next_cursor"))

        bank_list = cls(
            banks=banks,
            next_cursor=next_cursor,
        )

        return bank_list
