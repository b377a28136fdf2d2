from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.create_key_scope import CreateKeyScope
from ..types import UNSET, Unset

T = TypeVar("T", bound="CreateKey")


@_attrs_define
class CreateKey:
    """A key to make; it may do no more than the one that makes it, and has its end and limits where it names none."""

    name: str
    """ What the key is for, in printable characters. """
    scope: CreateKeyScope
    """ What it may do; each scope holds those before it. """
    banks: list[str] | None | Unset = UNSET
    """ Names of the only banks that it is for, which need not exist yet; all if left out. """
    expires_at: datetime.datetime | None | Unset = UNSET
    """ From when on it is worthless; if left out, with the key that makes it, or never. """
    requests_per_minute: int | None | Unset = UNSET
    """ Requests that it may make in a minute; so many at once after a pause. """
    turns_per_day: int | None | Unset = UNSET
    """ Turns that it may store in a day of UTC. """
    questions_per_day: int | None | Unset = UNSET
    """ Questions that it may have answered in a day of UTC. """

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        scope = self.scope.value

        banks: list[str] | None | Unset
        if isinstance(self.banks, Unset):
            banks = UNSET
        elif isinstance(self.banks, list):
            banks = self.banks

        else:
            banks = self.banks

        expires_at: None | str | Unset
        if isinstance(self.expires_at, Unset):
            expires_at = UNSET
        elif isinstance(self.expires_at, datetime.datetime):
            expires_at = self.expires_at.isoformat()
        else:
            expires_at = self.expires_at

        requests_per_minute: int | None | Unset
        if isinstance(self.requests_per_minute, Unset):
            requests_per_minute = UNSET
        else:
            requests_per_minute = self.requests_per_minute

        turns_per_day: int | None | Unset
        if isinstance(self.turns_per_day, Unset):
            turns_per_day = UNSET
        else:
            turns_per_day = self.turns_per_day

        questions_per_day: int | None | Unset
        if isinstance(self.questions_per_day, Unset):
            questions_per_day = UNSET
        else:
            questions_per_day = self.questions_per_day

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "name": name,
                "scope": scope,
            }
        )
        if banks is not UNSET:
            field_dict["banks"] = banks
        if expires_at is not UNSET:
            field_dict["expires_at"] = expires_at
        if requests_per_minute is not UNSET:
            field_dict["requests_per_minute"] = requests_per_minute
        if turns_per_day is not UNSET:
            field_dict["turns_per_day"] = turns_per_day
        if questions_per_day is not UNSET:
            field_dict["questions_per_day"] = questions_per_day

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        name = d.pop("name")

        scope = CreateKeyScope(d.pop("scope"))

        def _parse_banks(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                banks_type_0 = cast(list[str], data)

                return banks_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        banks = _parse_banks(d.pop("banks", UNSET))

        def _parse_expires_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                expires_at_type_0 = datetime.datetime.fromisoformat(data)

                return expires_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        expires_at = _parse_expires_at(d.pop("expires_at", UNSET))

        def _parse_requests_per_minute(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        requests_per_minute = _parse_requests_per_minute(
            d.pop("requests_per_minute", UNSET)
        )

        def _parse_turns_per_day(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        turns_per_day = _parse_turns_per_day(d.pop("turns_per_day", UNSET))

        def _parse_questions_per_day(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        questions_per_day = _parse_questions_per_day(d.pop("questions_per_day", UNSET))

        create_key = cls(
            name=name,
            scope=scope,
            banks=banks,
            expires_at=expires_at,
            requests_per_minute=requests_per_minute,
            turns_per_day=turns_per_day,
            questions_per_day=questions_per_day,
        )

        return create_key
