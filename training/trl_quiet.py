"""Keeps TRL and what is under it from reporting, warning and printing where nobody is helped by it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.local.model import hide_progress_bars

_TRL_LOG = "trl.trainer.grpo_trainer"


class Local:
    """Keeps a TRL trainer from reporting to its makers and from writing a card that advertises it."""

    def _send_telemetry(self) -> None:
        return

    def create_model_card(self, *arguments: Any, **named: Any) -> None:
        return


@contextmanager
def quiet() -> Iterator[None]:
    """For the length of a run."""
    hide_progress_bars()
    log = logging.getLogger(_TRL_LOG)
    log.addFilter(_may_be_shown)
    with warnings.catch_warnings():
        # TRL 1.16 uses names that transformers 5.23 has given new ones.
        warnings.filterwarnings("ignore", r".*gradient_checkpointing", FutureWarning)
        try:
            yield
        finally:
            log.removeFilter(_may_be_shown)


def _may_be_shown(record: logging.LogRecord) -> bool:
    """TRL logs the whole prompt, and so what users said, for a reply without a reward; these are counted instead."""
    return "All reward functions returned None" not in record.getMessage()
