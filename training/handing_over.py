"""From a run's record and an evaluation to what the exporter writes on a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.core.agents.answerer import AnswererOptions
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import ManagerOptions
from app.core.policies import THEN, Data, Measured, PolicyStamp, Score
from app.core.values import Role
from training.engine import TrainingError, UnfitConfiguration
from training.evaluation.bootstrap import Estimate
from training.evaluation.config import Kind, System
from training.evaluation.measures import ALL, Results, SystemScores
from training.evaluation.operations import OperationScores
from training.export import Provenance
from training.measuring import UNTRAINED
from training.run_record import RunRecord

NON_COMMERCIAL = "CC BY-NC 4.0"
ON_CARDS = ("mem0_f1", "mem0_bleu1", "exact_match", "date_normalised_f1")
FOUND = ("in the bank", "in the prompt")
_OPTIONS: dict[Role, type[ExtractorOptions] | type[ManagerOptions] | type[AnswererOptions]] = {
    Role.EXTRACTOR: ExtractorOptions,
    Role.MANAGER: ManagerOptions,
    Role.ANSWERER: AnswererOptions,
}


def provenance(
    record: RunRecord, name: str, licence: str | None, limits: Sequence[str], scores: Sequence[Score]
) -> Provenance:
    """What the card says of a run. Raises `UnfitConfiguration` where no licence follows from the data."""
    runs, policy = record.runs, record.runs[0].policy
    return Provenance(
        name=name,
        role=record.role,
        options=_OPTIONS[record.role].model_validate(record.prompt.options),
        licence=licence or _licence(runs),
        method=THEN.join(record.methods),
        steps=sum(one.rounds for one in runs) + (policy.steps if policy else 0),
        seeds=tuple(dict.fromkeys((*(policy.seeds if policy else ()), *(one.seed for one in runs)))),
        data=tuple(dict.fromkeys((*(policy.data if policy else ()), *map(_data, runs)))),
        config=record.model_dump(
            mode="json",
            include={"config", "reward", "rules", "embedder", "others", "versions", "git", "before", "policy"},
        ),
        limits=tuple(limits),
        scores=tuple(scores),
    )


def _data(record: RunRecord) -> Data:
    data = record.data
    number = f"{data.rows} rows of {len(data.conversations)} conversations, for {record.method}."
    return Data(
        source=data.source,
        split=data.split,
        seeds=() if data.seed is None else (data.seed,),
        licence=data.licence,
        note=f"{number} {data.note}".strip(),
    )


def _licence(runs: Sequence[RunRecord]) -> str:
    policy = runs[0].policy
    licences = {one.data.licence for one in runs} | ({policy.licence} if policy else set())
    if NON_COMMERCIAL in licences:
        return NON_COMMERCIAL
    if licences != {"Apache-2.0"} or not (policy or runs[0].base.name == "SmolLM2-135M-Instruct"):
        raise UnfitConfiguration("The licence does not follow from the data and the base: say it with --licence.")
    return "Apache-2.0"


def scores(folder: Path, role: Role) -> list[Score]:
    """What an evaluation found of the agents untrained, and with what was trained. Raises `TrainingError`."""
    return _scores(folder, _read(folder), role)


def _scores(folder: Path, results: Results, role: Role) -> list[Score]:
    names = [role.value for role in Role]
    before = System(kind=Kind.AGENTS, extractor=UNTRAINED, manager=UNTRAINED, answerer=UNTRAINED).name
    team: dict[str, Any] = {name: name if name in results.policies else UNTRAINED for name in names}
    after = System(kind=Kind.AGENTS, **team).name
    if missing := [name for name in (before, after) if name not in results.systems]:
        raise TrainingError(f"The evaluation in {folder} has no {', '.join(missing)}.")
    old, new = (_estimates(results.systems[name]) for name in (before, after))
    trained = f"with the trained {' and '.join(name for name in names if team[name] != UNTRAINED)}"
    found = _beside(old, new, results.note, trained)
    guessing = results.systems.get(System(kind=Kind.AGENTS, **team, best_guess=True).name)
    if role is Role.ANSWERER and guessing:
        guesses = {metric: guessing.groups[ALL].scores[metric] for metric in ON_CARDS}
        found += _beside(old, guesses, results.note, f"{trained}, asked for a best guess")
    if role is Role.MANAGER and {UNTRAINED, role.value} <= set(results.operations):
        first, last = (_right_operations(results.operations[name]) for name in (UNTRAINED, role.value))
        if last:
            found.append(Score(measure="right operations", data=results.note, before=first, after=last))
    return found


def _beside(old: Mapping[str, Estimate], new: Mapping[str, Estimate], data: str, who: str) -> list[Score]:
    return [
        Score(
            measure=f"{measure}, {who}",
            data=data,
            before=_measured(old[measure]) if measure in old else None,
            after=_measured(after),
        )
        for measure, after in new.items()
    ]


def scores_of_policy(folder: Path, stamp: PolicyStamp) -> list[Score]:
    """`scores`, of an evaluation in which this very policy replied in its role. Raises `TrainingError`."""
    results = _read(folder)
    replied = results.policies.get(stamp.role.value)
    if replied != stamp.label:
        raise TrainingError(
            f"In {folder}, {replied or 'no trained policy'} was the {stamp.role.value}, not {stamp.label}."
        )
    return _scores(folder, results, stamp.role)


def _estimates(system: SystemScores) -> dict[str, Estimate]:
    """What stands on a card; the report has all conventions."""
    group, abstained = system.groups[ALL], system.abstention.abstained
    found = {metric: group.scores[metric] for metric in ON_CARDS}
    found |= {f"evidence {where}": group.recall_intervals[where] for where in FOUND if where in group.recall_intervals}
    return found | ({"abstained from questions without an answer": abstained} if abstained else {})


def _right_operations(scores: OperationScores) -> Measured | None:
    interval = scores.accuracy_interval
    if scores.accuracy is None:
        return None
    return Measured(value=scores.accuracy, low=interval.low, high=interval.high)


def _read(folder: Path) -> Results:
    file = folder / "results.json"
    try:
        return Results.model_validate_json(file.read_bytes())
    except OSError as error:
        raise TrainingError(f"{folder} has no finished evaluation: there is no {file.name}.") from error
    except ValidationError as error:
        raise TrainingError(f"{file} is no result of an evaluation of this version.") from error


def _measured(estimate: Estimate) -> Measured:
    return Measured(value=estimate.mean, low=estimate.low, high=estimate.high)
