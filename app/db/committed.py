"""Counting what a transaction did, once it is committed: what was rolled back never happened."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.metrics import Metric
from app.core.telemetry import Meter

_NOTED = "memory_r1.counted"
_Noted = list[tuple[Metric, tuple[str, ...], float]]


def begin_noting(session: AsyncSession) -> None:
    """From here on `count` is heard."""
    session.info[_NOTED] = []


def count(session: AsyncSession, metric: Metric, *labels: str, amount: float = 1) -> None:
    """Add to a counter when the transaction is committed; nothing where nobody listens."""
    noted: _Noted | None = session.info.get(_NOTED)
    if noted is not None:
        noted.append((metric, labels, amount))


def tell(session: AsyncSession, meter: Meter) -> None:
    """After the commit."""
    noted: _Noted = session.info.pop(_NOTED, [])
    for metric, labels, amount in noted:
        meter.count(metric, *labels, amount=amount)
