from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.bank_settings_on_failure import BankSettingsOnFailure

T = TypeVar("T", bound="BankSettings")


@_attrs_define
class BankSettings:
    """What a bank does."""

    on_failure: BankSettingsOnFailure
    """ About a turn that failed for good: go on with the next, or wait until it is retried or erased. """

    def to_dict(self) -> dict[str, Any]:
        on_failure = self.on_failure.value

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "on_failure": on_failure,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        on_failure = BankSettingsOnFailure(d.pop("on_failure"))

        bank_settings = cls(
            on_failure=on_failure,
        )

        return bank_settings
