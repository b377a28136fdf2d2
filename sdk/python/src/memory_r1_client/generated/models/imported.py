from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.on_failure import OnFailure

if TYPE_CHECKING:
    from ..models.imported_counts import ImportedCounts


T = TypeVar("T", bound="Imported")


@_attrs_define
class Imported:
    """A bank that was made from a file."""

    bank: str
    on_failure: OnFailure
    """ What a bank does about a turn that failed for good. """
    counts: ImportedCounts
    embedded_anew: bool

    def to_dict(self) -> dict[str, Any]:
        bank = self.bank

        on_failure = self.on_failure.value

        counts = self.counts.to_dict()

        embedded_anew = self.embedded_anew

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "bank": bank,
                "on_failure": on_failure,
                "counts": counts,
                "embedded_anew": embedded_anew,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.imported_counts import ImportedCounts  # noqa: PLC0415

        d = dict(src_dict)
        bank = d.pop("bank")

        on_failure = OnFailure(d.pop("on_failure"))

        counts = ImportedCounts.from_dict(d.pop("counts"))

        embedded_anew = d.pop("embedded_anew")

        imported = cls(
            bank=bank,
            on_failure=on_failure,
            counts=counts,
            embedded_anew=embedded_anew,
        )

        return imported
