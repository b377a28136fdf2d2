from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.state import State

if TYPE_CHECKING:
    from ..models.logged_operation import LoggedOperation
    from ..models.model_call import ModelCall
    from ..models.rejected_fact import RejectedFact
    from ..models.turn_error import TurnError


T = TypeVar("T", bound="TurnProgress")


@_attrs_define
class TurnProgress:
    """What became of one turn."""

    turn_id: UUID
    external_id: None | str
    session: None | str
    speaker: str
    text: str
    said_at: datetime.datetime
    state: State
    """ Of a turn, and of an ingestion as the sum of its turns. """
    attempts: int
    error: None | TurnError
    facts: list[str]
    rejected_facts: list[RejectedFact]
    operations: list[LoggedOperation]
    calls: list[ModelCall]

    def to_dict(self) -> dict[str, Any]:
        from ..models.turn_error import TurnError  # noqa: PLC0415

        turn_id = str(self.turn_id)

        external_id: None | str
        external_id = self.external_id

        session: None | str
        session = self.session

        speaker = self.speaker

        text = self.text

        said_at = self.said_at.isoformat()

        state = self.state.value

        attempts = self.attempts

        error: dict[str, Any] | None
        if isinstance(self.error, TurnError):
            error = self.error.to_dict()
        else:
            error = self.error

        facts = self.facts

        rejected_facts = []
        for rejected_facts_item_data in self.rejected_facts:
            rejected_facts_item = rejected_facts_item_data.to_dict()
            rejected_facts.append(rejected_facts_item)

        operations = []
        for operations_item_data in self.operations:
            operations_item = operations_item_data.to_dict()
            operations.append(operations_item)

        calls = []
        for calls_item_data in self.calls:
            calls_item = calls_item_data.to_dict()
            calls.append(calls_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "turn_id": turn_id,
                "external_id": external_id,
                "session": session,
                "speaker": speaker,
                "text": text,
                "said_at": said_at,
                "state": state,
                "attempts": attempts,
                "error": error,
                "facts": facts,
                "rejected_facts": rejected_facts,
                "operations": operations,
                "calls": calls,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.logged_operation import LoggedOperation  # noqa: PLC0415
        from ..models.model_call import ModelCall  # noqa: PLC0415
        from ..models.rejected_fact import RejectedFact  # noqa: PLC0415
        from ..models.turn_error import TurnError  # noqa: PLC0415

        d = dict(src_dict)
        turn_id = UUID(d.pop("turn_id"))

        def _parse_external_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        external_id = _parse_external_id(d.pop("external_id"))

        def _parse_session(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        session = _parse_session(d.pop("session"))

        speaker = d.pop("speaker")

        text = d.pop("text")

        said_at = datetime.datetime.fromisoformat(d.pop("said_at"))

        state = State(d.pop("state"))

        attempts = d.pop("attempts")

        def _parse_error(data: object) -> None | TurnError:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                error_type_0 = TurnError.from_dict(data)

                return error_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | TurnError, data)

        error = _parse_error(d.pop("error"))

        facts = cast(list[str], d.pop("facts"))

        rejected_facts = []
        _rejected_facts = d.pop("rejected_facts")
        for rejected_facts_item_data in _rejected_facts:
            rejected_facts_item = RejectedFact.from_dict(rejected_facts_item_data)

            rejected_facts.append(rejected_facts_item)

        operations = []
        _operations = d.pop("operations")
        for operations_item_data in _operations:
            operations_item = LoggedOperation.from_dict(operations_item_data)

            operations.append(operations_item)

        calls = []
        _calls = d.pop("calls")
        for calls_item_data in _calls:
            calls_item = ModelCall.from_dict(calls_item_data)

            calls.append(calls_item)

        turn_progress = cls(
            turn_id=turn_id,
            external_id=external_id,
            session=session,
            speaker=speaker,
            text=text,
            said_at=said_at,
            state=state,
            attempts=attempts,
            error=error,
            facts=facts,
            rejected_facts=rejected_facts,
            operations=operations,
            calls=calls,
        )

        return turn_progress
