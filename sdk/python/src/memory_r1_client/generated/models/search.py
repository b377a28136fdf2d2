from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="Search")


@_attrs_define
class Search:
    """What to look for in a bank."""

    query: str
    limit: int | Unset = 10
    lexical: bool | None | Unset = UNSET
    """ With or without the lexical arm; the service's setting if left out. """
    per_speaker: bool | Unset = False
    """ As `/answer` does: of two speakers, each has half of `limit`, or the one that the query names three
    quarters. """
    as_of: datetime.datetime | None | Unset = UNSET
    """ Search the bank as it was at this date and time, with its offset; it must not lie in the future. """

    def to_dict(self) -> dict[str, Any]:
        query = self.query

        limit = self.limit

        lexical: bool | None | Unset
        if isinstance(self.lexical, Unset):
            lexical = UNSET
        else:
            lexical = self.lexical

        per_speaker = self.per_speaker

        as_of: None | str | Unset
        if isinstance(self.as_of, Unset):
            as_of = UNSET
        elif isinstance(self.as_of, datetime.datetime):
            as_of = self.as_of.isoformat()
        else:
            as_of = self.as_of

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "query": query,
            }
        )
        if limit is not UNSET:
            field_dict["limit"] = limit
        if lexical is not UNSET:
            field_dict["lexical"] = lexical
        if per_speaker is not UNSET:
            field_dict["per_speaker"] = per_speaker
        if as_of is not UNSET:
            field_dict["as_of"] = as_of

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        query = d.pop("query")

        limit = d.pop("limit", UNSET)

        def _parse_lexical(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        lexical = _parse_lexical(d.pop("lexical", UNSET))

        per_speaker = d.pop("per_speaker", UNSET)

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

        search = cls(
            query=query,
            limit=limit,
            lexical=lexical,
            per_speaker=per_speaker,
            as_of=as_of,
        )

        return search
