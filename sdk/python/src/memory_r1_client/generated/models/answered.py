from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.ranked_memory import RankedMemory
    from ..models.timings import Timings
    from ..models.usage import Usage
    from ..models.used_memory import UsedMemory


T = TypeVar("T", bound="Answered")


@_attrs_define
class Answered:
    """An answer with everything that it stands on."""

    id: UUID
    question: str
    answer: None | str
    abstained: bool
    memories: list[UsedMemory]
    candidates: list[RankedMemory]
    policy: None | str
    prompt_version: None | str
    usage: Usage
    """ Tokens of one call, as the server counted them. """
    timings: Timings
    """ Seconds spent on each step of an answer. """
    created_at: datetime.datetime
    as_of: datetime.datetime | None | Unset = UNSET
    best_guess: bool | Unset = False

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        question = self.question

        answer: None | str
        answer = self.answer

        abstained = self.abstained

        memories = []
        for memories_item_data in self.memories:
            memories_item = memories_item_data.to_dict()
            memories.append(memories_item)

        candidates = []
        for candidates_item_data in self.candidates:
            candidates_item = candidates_item_data.to_dict()
            candidates.append(candidates_item)

        policy: None | str
        policy = self.policy

        prompt_version: None | str
        prompt_version = self.prompt_version

        usage = self.usage.to_dict()

        timings = self.timings.to_dict()

        created_at = self.created_at.isoformat()

        as_of: None | str | Unset
        if isinstance(self.as_of, Unset):
            as_of = UNSET
        elif isinstance(self.as_of, datetime.datetime):
            as_of = self.as_of.isoformat()
        else:
            as_of = self.as_of

        best_guess = self.best_guess

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "id": id,
                "question": question,
                "answer": answer,
                "abstained": abstained,
                "memories": memories,
                "candidates": candidates,
                "policy": policy,
                "prompt_version": prompt_version,
                "usage": usage,
                "timings": timings,
                "created_at": created_at,
            }
        )
        if as_of is not UNSET:
            field_dict["as_of"] = as_of
        if best_guess is not UNSET:
            field_dict["best_guess"] = best_guess

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.ranked_memory import RankedMemory  # noqa: PLC0415
        from ..models.timings import Timings  # noqa: PLC0415
        from ..models.usage import Usage  # noqa: PLC0415
        from ..models.used_memory import UsedMemory  # noqa: PLC0415

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        question = d.pop("question")

        def _parse_answer(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        answer = _parse_answer(d.pop("answer"))

        abstained = d.pop("abstained")

        memories = []
        _memories = d.pop("memories")
        for memories_item_data in _memories:
            memories_item = UsedMemory.from_dict(memories_item_data)

            memories.append(memories_item)

        candidates = []
        _candidates = d.pop("candidates")
        for candidates_item_data in _candidates:
            candidates_item = RankedMemory.from_dict(candidates_item_data)

            candidates.append(candidates_item)

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

        usage = Usage.from_dict(d.pop("usage"))

        timings = Timings.from_dict(d.pop("timings"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        def _parse_as_of(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                as_of_type_0 = datetime.datetime.fromisoformat(data)

                return as_of_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        as_of = _parse_as_of(d.pop("as_of", UNSET))

        best_guess = d.pop("best_guess", UNSET)

        answered = cls(
            id=id,
            question=question,
            answer=answer,
            abstained=abstained,
            memories=memories,
            candidates=candidates,
            policy=policy,
            prompt_version=prompt_version,
            usage=usage,
            timings=timings,
            created_at=created_at,
            as_of=as_of,
            best_guess=best_guess,
        )

        return answered
