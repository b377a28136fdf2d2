from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.posted_turn_metadata import PostedTurnMetadata


T = TypeVar("T", bound="PostedTurn")


@_attrs_define
class PostedTurn:
    """One dialogue turn."""

    speaker: str
    """ Who said it. """
    text: str
    """ What was said. """
    said_at: datetime.datetime | None | Unset = UNSET
    """ When it was said, with its offset; now if left out. Relative dates are resolved against it. """
    session: None | str | Unset = UNSET
    """ The conversation or session that it belongs to. """
    external_id: None | str | Unset = UNSET
    """ Your id of the turn; posting it again stores nothing twice. """
    metadata: PostedTurnMetadata | Unset = UNSET
    """ Anything else, kept with the turn and shown to no model. """

    def to_dict(self) -> dict[str, Any]:
        speaker = self.speaker

        text = self.text

        said_at: None | str | Unset
        if isinstance(self.said_at, Unset):
            said_at = UNSET
        elif isinstance(self.said_at, datetime.datetime):
            said_at = self.said_at.isoformat()
        else:
            said_at = self.said_at

        session: None | str | Unset
        if isinstance(self.session, Unset):
            session = UNSET
        else:
            session = self.session

        external_id: None | str | Unset
        if isinstance(self.external_id, Unset):
            external_id = UNSET
        else:
            external_id = self.external_id

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "speaker": speaker,
                "text": text,
            }
        )
        if said_at is not UNSET:
            field_dict["said_at"] = said_at
        if session is not UNSET:
            field_dict["session"] = session
        if external_id is not UNSET:
            field_dict["external_id"] = external_id
        if metadata is not UNSET:
            field_dict["metadata"] = metadata

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.posted_turn_metadata import PostedTurnMetadata  # noqa: PLC0415

        d = dict(src_dict)
        speaker = d.pop("speaker")

        text = d.pop("text")

        def _parse_said_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                said_at_type_0 = datetime.datetime.fromisoformat(data)

                return said_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        said_at = _parse_said_at(d.pop("said_at", UNSET))

        def _parse_session(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        session = _parse_session(d.pop("session", UNSET))

        def _parse_external_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        external_id = _parse_external_id(d.pop("external_id", UNSET))

        _metadata = d.pop("metadata", UNSET)
        metadata: PostedTurnMetadata | Unset
        if isinstance(_metadata, Unset):
            metadata = UNSET
        else:
            metadata = PostedTurnMetadata.from_dict(_metadata)

        posted_turn = cls(
            speaker=speaker,
            text=text,
            said_at=said_at,
            session=session,
            external_id=external_id,
            metadata=metadata,
        )

        return posted_turn
