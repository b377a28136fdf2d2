"""Running what is asynchronous until it is done, or until a signal ends it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result | None:
    """Run until done, SIGINT or SIGTERM; either signal unwinds everything that was started, and gives None."""

    async def supervised() -> Result | None:
        task = asyncio.ensure_future(work)
        is_ending = False

        def end() -> None:
            # Once: uvicorn passes a signal on when it ends, and another cancellation would break off what is unwound.
            nonlocal is_ending
            if not is_ending:
                is_ending = True
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, end)
        try:
            return await task
        except asyncio.CancelledError:
            return None

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(supervised())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is to be had: short transactions spend much of their time in the event loop."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
