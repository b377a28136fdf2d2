from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.scope import Scope

T = TypeVar("T", bound="KeySummary")


@_attrs_define
class KeySummary:
    """A key without its secret."""

    id: UUID
    tenant: str
    name: str
    scope: Scope
    """ What a key may do; each scope holds those below it. """
    banks: list[str] | None
    expires_at: datetime.datetime | None
    requests_per_minute: int | None
    turns_per_day: int | None
    questions_per_day: int | None
    created_at: datetime.datetime
    revoked_at: datetime.datetime | None
    rotated_to: None | UUID

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        tenant = self.tenant

        name = self.name

        scope = self.scope.value

        banks: list[str] | None
        if isinstance(self.banks, list):
            banks = self.banks

        else:
            banks = self.banks

        expires_at: None | str
        if isinstance(self.expires_at, datetime.datetime):
            expires_at = self.expires_at.isoformat()
        else:
            expires_at = self.expires_at

        requests_per_minute: int | None
        requests_per_minute = self.requests_per_minute

        turns_per_day: int | None
        turns_per_day = self.turns_per_day

        questions_per_day: int | None
        questions_per_day = self.questions_per_day

        created_at = self.created_at.isoformat()

        revoked_at: None | str
        if isinstance(self.revoked_at, datetime.datetime):
            revoked_at = self.revoked_at.isoformat()
        else:
            revoked_at = self.revoked_at

        rotated_to: None | str
        if isinstance(self.rotated_to, UUID):
            rotated_to = str(self.rotated_to)
        else:
            rotated_to = self.rotated_to

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "id": id,
                "tenant": tenant,
                "name": name,
                "scope": scope,
                "banks": banks,
                "expires_at": expires_at,
                "requests_per_minute": requests_per_minute,
                "turns_per_day": turns_per_day,
                "questions_per_day": questions_per_day,
                "created_at": created_at,
                "revoked_at": revoked_at,
                "rotated_to": rotated_to,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        tenant = d.pop("tenant")

        name = d.pop("name")

        scope = Scope(d.pop("scope"))

        def _parse_banks(data: object) -> list[str] | None:
            if data is None:
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                banks_type_0 = cast(list[str], data)

                return banks_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None, data)

        banks = _parse_banks(d.pop("banks"))

        def _parse_expires_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                expires_at_type_0 = datetime.datetime.fromisoformat(data)

                return expires_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        expires_at = _parse_expires_at(d.pop("expires_at"))

        def _parse_requests_per_minute(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        requests_per_minute = _parse_requests_per_minute(d.pop("requests_per_minute"))

        def _parse_turns_per_day(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        turns_per_day = _parse_turns_per_day(d.pop("turns_per_day"))

        def _parse_questions_per_day(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        questions_per_day = _parse_questions_per_day(d.pop("questions_per_day"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        def _parse_revoked_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                revoked_at_type_0 = datetime.datetime.fromisoformat(data)

                return revoked_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        revoked_at = _parse_revoked_at(d.pop("revoked_at"))

        def _parse_rotated_to(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                rotated_to_type_0 = UUID(data)

                return rotated_to_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        rotated_to = _parse_rotated_to(d.pop("rotated_to"))

        key_summary = cls(
            id=id,
            tenant=tenant,
            name=name,
            scope=scope,
            banks=banks,
            expires_at=expires_at,
            requests_per_minute=requests_per_minute,
            turns_per_day=turns_per_day,
            questions_per_day=questions_per_day,
            created_at=created_at,
            revoked_at=revoked_at,
            rotated_to=rotated_to,
        )

        return key_summary
