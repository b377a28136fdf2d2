"""What a run consists of, and the settings that its processes get."""

from __future__ import annotations

import random
import signal
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from tests.chaos.steps import API_STEPS, API_STOP_STEPS, STOP_STEPS, WORKER_STEPS, Step

LATEST_HIT = 12
STOP_SHARE = 0.12


@dataclass(frozen=True)
class Options:
    """One run."""

    seconds: float
    """The storm goes on for so long at least, and until every step was hit and there were enough kills."""
    seed: int = 1
    kills: int = 0
    """Kills at least."""
    clients: int = 16
    workers: int = 4
    apis: int = 2
    lease_seconds: float = 1.0
    patience_seconds: float = 240.0
    """Without any progress for so long, something counts as stuck."""
    banks: int = 8
    pause_seconds: float = 2.5
    """Longest pause of a client between two posts."""
    fault_seconds: float = 2.0
    """Mean time between two faults that come from outside a process."""
    api_freeze_seconds: float = 0.0
    """How long an API is frozen in the middle of accepting turns; 0 leaves that out. Postgres ends a transaction after
    30 seconds of silence."""
    every_step: bool = True
    """Each named step is armed once before steps are drawn."""

    def environment(self, url: str, model_port: int, api_port: int) -> dict[str, str]:
        """Settings of the service's processes."""
        return {
            "MEMORY_R1_DATABASE__URL": url,
            "MEMORY_R1_DATABASE__POOL_SIZE": "6",
            "MEMORY_R1_DATABASE__MAX_OVERFLOW": "6",
            "MEMORY_R1_DATABASE__POOL_TIMEOUT": "5",
            "MEMORY_R1_LLM__BASE_URL": f"http://127.0.0.1:{model_port}/v1",
            "MEMORY_R1_LLM__MODEL": "scripted",
            "MEMORY_R1_LLM__TIMEOUT": "2",
            "MEMORY_R1_LLM__MAX_RETRIES": "1",
            "MEMORY_R1_SERVER__PORT": str(api_port),
            "MEMORY_R1_SERVER__REQUIRE_KEY": "true",
            "MEMORY_R1_SERVER__MAX_ANSWERS": "4",
            "MEMORY_R1_SERVER__MAX_WAITING_TURNS": "400",
            "MEMORY_R1_WORKER__BANKS": "3",
            "MEMORY_R1_WORKER__PREFETCH": "4",
            "MEMORY_R1_WORKER__LEASE_SECONDS": str(self.lease_seconds),
            "MEMORY_R1_WORKER__POLL_SECONDS": "0.5",
            "MEMORY_R1_WORKER__BACKOFF_SECONDS": "0.05",
            "MEMORY_R1_WORKER__MAX_BACKOFF_SECONDS": "0.5",
            "MEMORY_R1_LOG__LEVEL": "INFO",
        }


class Plan(Protocol):
    """Says what a process that is started does to itself."""

    def next(self) -> Step | None: ...

    def again(self, step: Step) -> None:
        """The step was not reached: it was armed in vain."""


class Unarmed:
    """Nothing is done."""

    def next(self) -> Step | None:
        return None

    def again(self, step: Step) -> None:
        return None


class Schedule:
    """Each step once, in an order drawn by seed; then steps that are drawn."""

    def __init__(self, names: tuple[str, ...], stops: tuple[str, ...], seed: int, *, every_step: bool) -> None:
        self._names, self._stops = names, stops
        self._draw = random.Random(f"{seed} {names}")
        once = [Step(name) for name in names] + [Step(name, number=signal.SIGSTOP) for name in stops]
        self._draw.shuffle(once)
        self._once = deque(once if every_step else [])
        self.open = {(step.name, step.number) for step in self._once}
        """Scheduled and not hit."""

    def next(self) -> Step | None:
        if self._once:
            return self._once.popleft()
        nth = self._draw.randint(1, LATEST_HIT)
        if self._stops and self._draw.random() < STOP_SHARE:
            return Step(self._draw.choice(self._stops), nth, signal.SIGSTOP)
        return Step(self._draw.choice(self._names), nth)

    def hit(self, step: Step) -> None:
        self.open.discard((step.name, step.number))

    def again(self, step: Step) -> None:
        if (step.name, step.number) in self.open:
            self._once.append(step)


def schedules(options: Options) -> dict[str, Schedule]:
    """The plans of the processes by role."""
    api_stops = API_STOP_STEPS if options.api_freeze_seconds else ()
    return {
        "worker": Schedule(WORKER_STEPS, STOP_STEPS, options.seed, every_step=options.every_step),
        "api": Schedule(API_STEPS, api_stops, options.seed, every_step=options.every_step),
    }
