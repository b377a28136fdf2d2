from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.operation_kind import OperationKind
from ..models.origin import Origin
from ..models.verdict import Verdict
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.shown_memory import ShownMemory


T = TypeVar("T", bound="OperationRecord")


@_attrs_define
class OperationRecord:
    """A line of the operation log with all that led to it."""

    number: int
    kind: OperationKind
    """ Memory-R1, section 3: what may be done with a fact. """
    verdict: Verdict
    """ What became of an operation. """
    origin: Origin
    """ Who decided on an operation. """
    ingestion_id: None | UUID
    turn_id: None | UUID
    key_id: None | UUID
    reasoning: None | str
    shown: list[ShownMemory]
    policy: None | str
    prompt_version: None | str
    created_at: datetime.datetime
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
    erased_at: datetime.datetime | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        kind = self.kind.value

        verdict = self.verdict.value

        origin = self.origin.value

        ingestion_id: None | str
        if isinstance(self.ingestion_id, UUID):
            ingestion_id = str(self.ingestion_id)
        else:
            ingestion_id = self.ingestion_id

        turn_id: None | str
        if isinstance(self.turn_id, UUID):
            turn_id = str(self.turn_id)
        else:
            turn_id = self.turn_id

        key_id: None | str
        if isinstance(self.key_id, UUID):
            key_id = str(self.key_id)
        else:
            key_id = self.key_id

        reasoning: None | str
        reasoning = self.reasoning

        shown = []
        for shown_item_data in self.shown:
            shown_item = shown_item_data.to_dict()
            shown.append(shown_item)

        policy: None | str
        policy = self.policy

        prompt_version: None | str
        prompt_version = self.prompt_version

        created_at = self.created_at.isoformat()

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

        erased_at: None | str | Unset
        if isinstance(self.erased_at, Unset):
            erased_at = UNSET
        elif isinstance(self.erased_at, datetime.datetime):
            erased_at = self.erased_at.isoformat()
        else:
            erased_at = self.erased_at

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "number": number,
                "kind": kind,
                "verdict": verdict,
                "origin": origin,
                "ingestion_id": ingestion_id,
                "turn_id": turn_id,
                "key_id": key_id,
                "reasoning": reasoning,
                "shown": shown,
                "policy": policy,
                "prompt_version": prompt_version,
                "created_at": created_at,
            }
        )
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
        if erased_at is not UNSET:
            field_dict["erased_at"] = erased_at

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.shown_memory import ShownMemory  # noqa: PLC0415

        d = dict(src_dict)
        number = d.pop("number")

        kind = OperationKind(d.pop("kind"))

        verdict = Verdict(d.pop("verdict"))

        origin = Origin(d.pop("origin"))

        def _parse_ingestion_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                ingestion_id_type_0 = UUID(data)

                return ingestion_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        ingestion_id = _parse_ingestion_id(d.pop("ingestion_id"))

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

        def _parse_key_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                key_id_type_0 = UUID(data)

                return key_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        key_id = _parse_key_id(d.pop("key_id"))

        def _parse_reasoning(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reasoning = _parse_reasoning(d.pop("reasoning"))

        shown = []
        _shown = d.pop("shown")
        for shown_item_data in _shown:
            shown_item = ShownMemory.from_dict(shown_item_data)

            shown.append(shown_item)

        def _parse_policy(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        policy = _parse_policy(d.pop("policy"))

        def _parse_prompt_version(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        prompt_version = _parse_prompt_version(d.pop("prompt_version"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

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

        def _parse_erased_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                erased_at_type_0 = datetime.datetime.fromisoformat(data)

                return erased_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        erased_at = _parse_erased_at(d.pop("erased_at", UNSET))

        operation_record = cls(
            number=number,
            kind=kind,
            verdict=verdict,
            origin=origin,
            ingestion_id=ingestion_id,
            turn_id=turn_id,
            key_id=key_id,
            reasoning=reasoning,
            shown=shown,
            policy=policy,
            prompt_version=prompt_version,
            created_at=created_at,
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
            erased_at=erased_at,
        )

        return operation_record
