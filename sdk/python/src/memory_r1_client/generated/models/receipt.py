from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.derived import Derived
from ..models.erased import Erased

if TYPE_CHECKING:
    from ..models.receipt_removed import ReceiptRemoved
    from ..models.receipt_verified import ReceiptVerified


T = TypeVar("T", bound="Receipt")


@_attrs_define
class Receipt:
    """What an erasure removed. It names no bank and holds no text."""

    digest: str
    erased: Erased
    """ What an erasure is of. """
    bank: str
    turn_id: None | UUID
    derived: Derived | None
    removed: ReceiptRemoved
    verified: ReceiptVerified
    kept: list[UUID]
    erased_at: datetime.datetime

    def to_dict(self) -> dict[str, Any]:
        digest = self.digest

        erased = self.erased.value

        bank = self.bank

        turn_id: None | str
        if isinstance(self.turn_id, UUID):
            turn_id = str(self.turn_id)
        else:
            turn_id = self.turn_id

        derived: None | str
        if isinstance(self.derived, Derived):
            derived = self.derived.value
        else:
            derived = self.derived

        removed = self.removed.to_dict()

        verified = self.verified.to_dict()

        kept = []
        for kept_item_data in self.kept:
            kept_item = str(kept_item_data)
            kept.append(kept_item)

        erased_at = self.erased_at.isoformat()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "digest": digest,
                "erased": erased,
                "bank": bank,
                "turn_id": turn_id,
                "derived": derived,
                "removed": removed,
                "verified": verified,
                "kept": kept,
                "erased_at": erased_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.receipt_removed import ReceiptRemoved  # noqa: PLC0415
        from ..models.receipt_verified import ReceiptVerified  # noqa: PLC0415

        d = dict(src_dict)
        digest = d.pop("digest")

        erased = Erased(d.pop("erased"))

        bank = d.pop("bank")

        def _parse_turn_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                turn_id_type_0 = UUID(data)

                return turn_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        turn_id = _parse_turn_id(d.pop("turn_id"))

        def _parse_derived(data: object) -> Derived | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                derived_type_0 = Derived(data)

                return derived_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(Derived | None, data)

        derived = _parse_derived(d.pop("derived"))

        removed = ReceiptRemoved.from_dict(d.pop("removed"))

        verified = ReceiptVerified.from_dict(d.pop("verified"))

        kept = []
        _kept = d.pop("kept")
        for kept_item_data in _kept:
            kept_item = UUID(kept_item_data)

            kept.append(kept_item)

        erased_at = datetime.datetime.fromisoformat(d.pop("erased_at"))

        receipt = cls(
            digest=digest,
            erased=erased,
            bank=bank,
            turn_id=turn_id,
            derived=derived,
            removed=removed,
            verified=verified,
            kept=kept,
            erased_at=erased_at,
        )

        return receipt
