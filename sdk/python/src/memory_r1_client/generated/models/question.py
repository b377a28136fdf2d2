from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="Question")


@_attrs_define
class Question:
    """What to answer from a bank."""

    question: str
    as_of: datetime.datetime | None | Unset = UNSET
    """ Answer from the bank as it was at this date and time, with its offset; it must not lie in the future. """
    best_guess: bool | Unset = False
    """ Answer with what is most likely where the memories do not clearly tell, and abstain only where there are
    none. """

    def to_dict(self) -> dict[str, Any]:
        question = self.question

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
                "question": question,
            }
        )
        if as_of is not UNSET:
            field_dict["as_of"] = as_of
        if best_guess is not UNSET:
            field_dict["best_guess"] = best_guess

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        question = d.pop("question")

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

        question = cls(
            question=question,
            as_of=as_of,
            best_guess=best_guess,
        )

        return question
