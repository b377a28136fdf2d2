from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.operation_kind import OperationKind
from ..models.verdict import Verdict
from ..types import UNSET, Unset

T = TypeVar("T", bound="LoggedOperation")


@_attrs_define
class LoggedOperation:
    """One line of the operation log."""

    kind: OperationKind
    """ Memory-R1, section 3: what may be done with a fact. """
    verdict: Verdict
    """ What became of an operation. """
    number: int | None | Unset = UNSET
    fact: None | str | Unset = UNSET
    reason: None | str | Unset = UNSET
    fallback: bool | Unset = False
    memory_id: None | Unset | UUID = UNSET
    version_before: int | None | Unset = UNSET
    version_after: int | None | Unset = UNSET
    text_before: None | str | Unset = UNSET
    text_after: None | str | Unset = UNSET
    undoes: int | None | Unset = UNSET
    undone_by: int | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        kind = self.kind.value

        verdict = self.verdict.value

        number: int | None | Unset
        if isinstance(self.number, Unset):
            number = UNSET
        else:
            number = self.number

        fact: None | str | Unset
        if isinstance(self.fact, Unset):
            fact = UNSET
        else:
            fact = self.fact

        reason: None | str | Unset
        if isinstance(self.reason, Unset):
            reason = UNSET
        else:
            reason = self.reason

        fallback = self.fallback

        memory_id: None | str | Unset
        if isinstance(self.memory_id, Unset):
            memory_id = UNSET
        elif isinstance(self.memory_id, UUID):
            memory_id = str(self.memory_id)
        else:
            memory_id = self.memory_id

        version_before: int | None | Unset
        if isinstance(self.version_before, Unset):
            version_before = UNSET
        else:
            version_before = self.version_before

        version_after: int | None | Unset
        if isinstance(self.version_after, Unset):
            version_after = UNSET
        else:
            version_after = self.version_after

        text_before: None | str | Unset
        if isinstance(self.text_before, Unset):
            text_before = UNSET
        else:
            text_before = self.text_before

        text_after: None | str | Unset
        if isinstance(self.text_after, Unset):
            text_after = UNSET
        else:
            text_after = self.text_after

        undoes: int | None | Unset
        if isinstance(self.undoes, Unset):
            undoes = UNSET
        else:
            undoes = self.undoes

        undone_by: int | None | Unset
        if isinstance(self.undone_by, Unset):
            undone_by = UNSET
        else:
            undone_by = self.undone_by

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "kind": kind,
                "verdict": verdict,
            }
        )
        if number is not UNSET:
            field_dict["number"] = number
        if fact is not UNSET:
            field_dict["fact"] = fact
        if reason is not UNSET:
            field_dict["reason"] = reason
        if fallback is not UNSET:
            field_dict["fallback"] = fallback
        if memory_id is not UNSET:
            field_dict["memory_id"] = memory_id
        if version_before is not UNSET:
            field_dict["version_before"] = version_before
        if version_after is not UNSET:
            field_dict["version_after"] = version_after
        if text_before is not UNSET:
            field_dict["text_before"] = text_before
        if text_after is not UNSET:
            field_dict["text_after"] = text_after
        if undoes is not UNSET:
            field_dict["undoes"] = undoes
        if undone_by is not UNSET:
            field_dict["undone_by"] = undone_by

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        kind = OperationKind(d.pop("kind"))

        verdict = Verdict(d.pop("verdict"))

        def _parse_number(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        number = _parse_number(d.pop("number", UNSET))

        def _parse_fact(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        fact = _parse_fact(d.pop("fact", UNSET))

        def _parse_reason(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        reason = _parse_reason(d.pop("reason", UNSET))

        fallback = d.pop("fallback", UNSET)

        def _parse_memory_id(data: object) -> None | Unset | UUID:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                memory_id_type_0 = UUID(data)

                return memory_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UUID, data)

        memory_id = _parse_memory_id(d.pop("memory_id", UNSET))

        def _parse_version_before(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        version_before = _parse_version_before(d.pop("version_before", UNSET))

        def _parse_version_after(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        version_after = _parse_version_after(d.pop("version_after", UNSET))

        def _parse_text_before(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        text_before = _parse_text_before(d.pop("text_before", UNSET))

        def _parse_text_after(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        text_after = _parse_text_after(d.pop("text_after", UNSET))

        def _parse_undoes(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        undoes = _parse_undoes(d.pop("undoes", UNSET))

        def _parse_undone_by(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        undone_by = _parse_undone_by(d.pop("undone_by", UNSET))

        logged_operation = cls(
            kind=kind,
            verdict=verdict,
            number=number,
            fact=fact,
            reason=reason,
            fallback=fallback,
            memory_id=memory_id,
            version_before=version_before,
            version_after=version_after,
            text_before=text_before,
            text_after=text_after,
            undoes=undoes,
            undone_by=undone_by,
        )

        return logged_operation
