"""What clients send about banks."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from app.api.schemas import Body


class BankSettings(Body):
    """What a bank does."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"on_failure": "wait"}]})

    on_failure: Literal["set_aside", "wait"]
    """About a turn that failed for good: go on with the next, or wait until it is retried or erased."""
