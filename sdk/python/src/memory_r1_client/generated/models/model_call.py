from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.role import Role

if TYPE_CHECKING:
    from ..models.usage import Usage


T = TypeVar("T", bound="ModelCall")


@_attrs_define
class ModelCall:
    """One model call that was made for a turn."""

    role: Role
    """ What a model call is for; a policy serves one role. """
    policy: str
    usage: Usage
    """ Tokens of one call, as the server counted them. """
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        role = self.role.value

        policy = self.policy

        usage = self.usage.to_dict()

        seconds = self.seconds

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "role": role,
                "policy": policy,
                "usage": usage,
                "seconds": seconds,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.usage import Usage  # noqa: PLC0415

        d = dict(src_dict)
        role = Role(d.pop("role"))

        policy = d.pop("policy")

        usage = Usage.from_dict(d.pop("usage"))

        seconds = d.pop("seconds")

        model_call = cls(
            role=role,
            policy=policy,
            usage=usage,
            seconds=seconds,
        )

        return model_call
