"""From what the command is told to an evaluation: the systems, who replies in them, and the judge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.core.values import Role
from training.config import TrainingConfig
from training.episode import Rules
from training.evaluation.config import (
    EvalConfig,
    Judge,
    Kind,
    Limits,
    LocomoData,
    SimulatorData,
    System,
    Team,
    standard_systems,
)
from training.evaluation.measures import Results
from training.evaluation.run import evaluate
from training.ports import Chosen, FrozenModel, Ports

UNTRAINED = "untrained"
Rows = Literal["all", "baselines", "agents", "teams"]


@dataclass(frozen=True)
class Measurement:
    """What is asked for."""

    config: TrainingConfig
    data: LocomoData | SimulatorData
    out: Path
    untrained: Chosen
    trained: Mapping[Role, Chosen] = field(default_factory=dict)
    rows: Rows = "all"
    best_guess: bool = False
    """Also ask the trained team where it may not abstain."""
    judge: Chosen | None = None
    limits: Limits = field(default_factory=Limits)
    resume: bool = False
    progress: bool = True


def measure(wanted: Measurement) -> Results:
    """Evaluate; the report is in the folder. Raises `TrainingError` and what the evaluation raises."""
    rules = Rules.model_validate({role.value: wanted.config.rules.of(role) for role in Role})
    with Ports(wanted.config.model, rules) as ports:
        models = {UNTRAINED: ports.completer(wanted.untrained, Role.ANSWERER)}
        models |= {role.value: ports.completer(one, role) for role, one in wanted.trained.items()}
        judge = ports.completer(wanted.judge, Role.ANSWERER) if wanted.judge else None
        config = _config(wanted, rules, models, judge)
        return asyncio.run(evaluate(config, wanted.out, models, ports.embedder(), judge=judge, resume=wanted.resume))


def _config(
    wanted: Measurement, rules: Rules, models: Mapping[str, FrozenModel], judge: FrozenModel | None
) -> EvalConfig:
    return EvalConfig(
        data=wanted.data,
        policies={name: model.label for name, model in models.items()},
        systems=systems(wanted),
        judge=Judge(model=judge.label) if judge else None,
        rules=rules,
        limits=wanted.limits,
        progress=wanted.progress,
    )


def systems(wanted: Measurement) -> tuple[System, ...]:
    """The rows of the tables: the standard ones, and on the simulator those on right banks."""
    untrained = Team(extractor=UNTRAINED, manager=UNTRAINED, answerer=UNTRAINED)
    trained = Team(**{role.value: role.value if role in wanted.trained else UNTRAINED for role in Role})
    found = list(standard_systems(untrained, trained if wanted.trained else None))
    if isinstance(wanted.data, SimulatorData):
        answerers = dict.fromkeys((UNTRAINED, trained.answerer))
        found = [*(System(kind=Kind.ORACLE_BANK, answerer=answerer) for answerer in answerers), *found]
    match wanted.rows:
        case "all":
            chosen = found
        case "baselines":
            chosen = [one for one in found if one.kind is not Kind.AGENTS]
        case "agents":
            chosen = [one for one in found if one.kind is Kind.AGENTS]
        case "teams":
            chosen = [System(kind=Kind.AGENTS, **dict(team)) for team in dict.fromkeys((untrained, trained))]
    # The last row is what the others are compared with.
    guess = [System(kind=Kind.AGENTS, **dict(trained), best_guess=True)] if wanted.best_guess else []
    return (*guess, *chosen)
