from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.change_webhook_events_item import ChangeWebhookEventsItem
from ..types import UNSET, Unset

T = TypeVar("T", bound="ChangeWebhook")


@_attrs_define
class ChangeWebhook:
    """What to change; the rest stays as it is."""

    url: str | Unset = UNSET
    """ Where events are posted. """
    events: list[ChangeWebhookEventsItem] | Unset = UNSET
    """ What it is told of. """
    banks: list[str] | None | Unset = UNSET
    """ Names of the only banks that it is told of; null for all. """
    enabled: bool | Unset = UNSET
    """ Whether anything is sent. Enabling forgets why it was disabled. """

    def to_dict(self) -> dict[str, Any]:
        url = self.url

        events: list[str] | Unset = UNSET
        if not isinstance(self.events, Unset):
            events = []
            for events_item_data in self.events:
                events_item = events_item_data.value
                events.append(events_item)

        banks: list[str] | None | Unset
        if isinstance(self.banks, Unset):
            banks = UNSET
        elif isinstance(self.banks, list):
            banks = self.banks

        else:
            banks = self.banks

        enabled = self.enabled

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if url is not UNSET:
            field_dict["url"] = url
        if events is not UNSET:
            field_dict["events"] = events
        if banks is not UNSET:
            field_dict["banks"] = banks
        if enabled is not UNSET:
            field_dict["enabled"] = enabled

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        url = d.pop("url", UNSET)

        _events = d.pop("events", UNSET)
        events: list[ChangeWebhookEventsItem] | Unset = UNSET
        if _events is not UNSET:
            events = []
            for events_item_data in _events:
                events_item = ChangeWebhookEventsItem(events_item_data)

                events.append(events_item)

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

        enabled = d.pop("enabled", UNSET)

        change_webhook = cls(
            url=url,
            events=events,
            banks=banks,
            enabled=enabled,
        )

        return change_webhook
