"""A run of training from end to end: its rows, its reward, the trainer, and the record of all that."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any, Literal, Protocol

from pydantic import Field

from app.core.policies import ADAPTER_FILE, Base, PolicyStamp, PromptStamp
from app.core.ports import Completer
from app.core.values import Role, Value
from app.local.model import source_sha256
from training import models, rewards, run_folder, run_record, sources, tasks
from training.banks import CachedEmbedder
from training.config import TrainingConfig
from training.engine import Row, Stop, Task, Trained, UnfitConfiguration
from training.episode import FrozenAnswerer, Rules
from training.evaluation.journal import RecordingCompleter
from training.logo_task import TERMS as LOGO_TERMS
from training.logo_task import ManagerTrajectories
from training.models import folder_or_name
from training.ports import BASE, Chosen, Ports
from training.rewards import PRESETS, RewardConfig, Term
from training.run_record import RunRecord
from training.sources import ADD_ALL, Agents, Built, Source

Method = Literal["sft", "grpo", "ppo", "logo"]
TERMS = {
    Role.EXTRACTOR: frozenset(Term) - {Term.OPERATION_MATCH, Term.KEPT},
    Role.MANAGER: frozenset(Term) - {Term.FACT_MATCH},
    Role.ANSWERER: frozenset({Term.EXACT_MATCH, Term.TOKEN_F1, Term.VALIDITY}),
}
"""What a role's reward may be made of."""
TOO_LONG = "the prompt is too long"
ADDING_COMPARED = 0.1
"""`Source.adding` where the manager learns from rewards."""
UNANSWERABLE_COMPARED = 1.0
"""`Source.unanswerable` where the Answer Agent learns from rewards: a guess costs nothing elsewhere, so that abstaining
is forgotten within a dozen rounds."""
_POLL_SECONDS = 1.0


class Shown(Protocol):
    """Who is told how a run goes."""

    def say(self, line: str) -> None: ...

    def advance(self, done: int, total: int) -> None: ...


class Run(Value):
    """What is asked for."""

    role: Role
    method: Method
    config: TrainingConfig
    source: Source
    out: Path
    resume: bool = False
    start: Path | None = None
    """A model to go on from: a run's folder, an adapter's, or that of a whole model."""
    others: dict[Role, Chosen] = Field(default_factory=dict)
    """The models of the roles that do not learn."""

    @property
    def rules(self) -> Rules:
        return Rules.model_validate({role.value: self.config.rules.of(role) for role in Role})


def train(run: Run, shown: Shown) -> RunRecord:
    """Run it to its end, or until it is stopped; the record as it was left in the folder.

    Raises `TrainingError` and what the sources raise.
    """
    if run.start:
        run = _from_start(run, run.start)
    _check(run)
    with Ports(run.config.model, run.rules) as ports:
        _wait_for_the_first_process(run)
        task, record = _prepared(run, ports, shown)
        return _learn(run, task, record, shown)


def task_of(run: dict[str, Any]) -> Any:
    """The task of a run by its JSON form, in another of its processes; what it asks stays open while that lives."""
    wanted = Run.model_validate(run)
    return _prepared(wanted, Ports(wanted.config.model, wanted.rules).__enter__(), _Silent())[0]


class _Silent:
    def say(self, line: str) -> None:
        return

    def advance(self, done: int, total: int) -> None:
        return


def _prepared(run: Run, ports: Ports, shown: Shown) -> tuple[Any, RunRecord]:
    """The task, and the record of a run that begins."""
    reward = _reward(run)
    others = _needed(run, reward)
    embedder = CachedEmbedder(ports.embedder())
    models_of = {role: ports.completer(one, role) for role, one in others.items() if one.model != ADD_ALL}
    recorded = {
        role: RecordingCompleter(run.out / "replies" / f"{role.value}.jsonl", one)
        for role, one in models_of.items()
        if run.source.kind == "locomo"
    }
    agents = Agents(embedder, run.rules, recorded.get(Role.EXTRACTOR), recorded.get(Role.MANAGER))
    lesson = _Lesson(reward, models_of.get(Role.ANSWERER), agents)
    built, task = (_trajectories if run.method == "logo" else _task)(run, lesson, shown)
    labels = {role.value: models_of[role].label if role in models_of else ADD_ALL for role in others}
    return task, _record(run, built, reward, embedder.model, labels)


def _reward(run: Run) -> RewardConfig | None:
    return None if run.method == "sft" else reward_of(run.config.reward, run.role, run.method)


def reward_of(chosen: str | Mapping[str, float], role: Role, method: Method) -> RewardConfig:
    """A preset's terms, without those that the role or the method does not have; or the terms of somebody's own."""
    terms = TERMS[role] & LOGO_TERMS if method == "logo" else TERMS[role]
    if not isinstance(chosen, str):
        return _own_reward(chosen, terms)
    if chosen not in PRESETS:
        raise UnfitConfiguration(f"There is no reward {chosen!r}; there are {', '.join(PRESETS)}.")
    weights = {term: weight for term, weight in PRESETS[chosen].weights.items() if term in terms}
    return RewardConfig(weights=weights)


def _own_reward(weights: Mapping[str, float], terms: Collection[Term]) -> RewardConfig:
    known = ", ".join(sorted(term.value for term in terms))
    if unknown := [name for name in weights if name not in terms]:
        raise UnfitConfiguration(f"No {', '.join(unknown)} can be rewarded here; there are {known}.")
    if not weights:
        raise UnfitConfiguration(f"A reward needs the weight of a term; there are {known}.")
    return RewardConfig(weights={Term(name): weight for name, weight in weights.items()})


def _check(run: Run) -> None:
    """What can be told before rows are made, which takes time."""
    if getattr(run.config, run.method) is None:
        raise UnfitConfiguration(f"The configuration has no section {run.method}.")
    _reward(run)
    if run.method != "sft" and run.config.verl is None:
        from training.trl_adapter import refuse_what_cannot_run

        refuse_what_cannot_run(run.config)
    if run.method == "logo" and run.config.verl is not None:
        raise UnfitConfiguration("LoGo-GRPO has no form on verl: leave the section out by --set verl=")
    if run.method == "logo" and run.role is not Role.MANAGER:
        raise UnfitConfiguration("LoGo-GRPO is for the manager, whose decisions change what it decides on later.")
    if run.method != "sft" and run.source.kind == "traces":
        raise UnfitConfiguration("Traces hold replies and no gold answers: they are for sft alone.")
    if run.method == "sft" and run.role is Role.MANAGER:
        if run.source.kind == "locomo":
            raise UnfitConfiguration(
                "The right operations of LoCoMo are not known: sft on the simulator, or on traces."
            )
        if run.source.kind == "simulator" and run.config.rules.of(Role.MANAGER)["reasoning"]:
            raise UnfitConfiguration("No right reasoning is known: warm up with --set rules.manager.reasoning=false.")
    if is_first_process():
        run_folder.check(run.out, run.config, run.method, run.resume)


def _from_start(run: Run, start: Path) -> Run:
    """Going on from an adapter, or from a whole model."""
    folder = start / "model" if (start / run_record.FILE).is_file() else start
    if not folder.is_dir():
        raise UnfitConfiguration(f"There is no model in {folder} to go on from.")
    is_adapter = (folder / ADAPTER_FILE).is_file()
    changed: dict[str, Any] = {"start_adapter": folder, "lora": None} if is_adapter else {"name": str(folder)}
    model = run.config.model.model_copy(update=changed)
    return run.model_copy(update={"config": run.config.model_copy(update={"model": model}), "start": folder})


def _needed(run: Run, reward: RewardConfig | None) -> dict[Role, Chosen]:
    """Who is asked in this run. Raises `UnfitConfiguration` where somebody is missing."""
    needed: dict[Role, Chosen] = {}
    if run.source.kind == "locomo":
        for role in (Role.EXTRACTOR, Role.MANAGER):
            if role not in run.others:
                raise UnfitConfiguration(
                    f"Somebody must be the {role.value} of LoCoMo's conversations: name a model with --{role.value}."
                )
            needed[role] = run.others[role]
    if reward is not None and run.role is not Role.ANSWERER:
        needed[Role.ANSWERER] = run.others.get(Role.ANSWERER, Chosen(model=BASE))
    return needed


# Rows and reward


@dataclass(frozen=True)
class _Lesson:
    """What a task is made of beside its rows."""

    reward: RewardConfig | None
    """None for supervised training."""
    answerer: Completer | None
    agents: Agents

    def agent(self) -> FrozenAnswerer:
        if self.answerer is None:
            raise UnfitConfiguration("A frozen Answer Agent is needed: name a model with --answerer.")
        return FrozenAnswerer(self.answerer, self.agents.embedder, self.agents.rules.answerer)


def _task(run: Run, lesson: _Lesson, shown: Shown) -> tuple[Built, Task]:
    built = sources.build(run.role, source_of(run), lesson.agents, shown.advance)
    if lesson.reward is None:
        sources.only_with_targets(built)
        _tell(run, built, shown)
        return built, tasks.Lesson(built.rows, _not_scored)
    if run.role is Role.ANSWERER:
        _tell(run, built, shown)
        return built, tasks.answerer_lesson(built.rows, lesson.reward)
    sources.only_with_questions(built, lesson.reward)
    _tell(run, built, shown)
    made = tasks.manager_lesson if run.role is Role.MANAGER else tasks.extractor_lesson
    return built, made(built.rows, lesson.agent(), lesson.agents.embedder, lesson.reward)


def source_of(run: Run) -> Source:
    """ADD is to be learned where a reply is imitated; where replies are compared, all say it and none is better."""
    if run.method == "sft":
        return run.source
    chosen = run.source.unanswerable
    unanswerable = UNANSWERABLE_COMPARED if chosen is None else chosen
    return run.source.model_copy(update={"adding": ADDING_COMPARED, "unanswerable": unanswerable})


async def _not_scored(reply: str, row: Row) -> rewards.Reward:
    raise TypeError("supervised training scores no reply")


def _trajectories(run: Run, lesson: _Lesson, shown: Shown) -> tuple[Built, Any]:
    if lesson.reward is None or run.config.logo is None:
        raise UnfitConfiguration("The configuration has no section logo.")
    built, told = sources.build_trajectories(run.source, lesson.agents, shown.advance)
    shown.say(f"{len(told)} conversations with {len(built.rows)} decisions")
    agents = lesson.agents
    return built, ManagerTrajectories(
        told, lesson.agent(), agents.embedder, agents.rules, lesson.reward, run.config.logo
    )


def _tell(run: Run, built: Built, shown: Shown) -> None:
    """Leave out what is too long, and say what there is."""
    lengths = _token_counts(run, built.rows)
    most = run.config.sft.max_tokens if run.method == "sft" and run.config.sft else run.config.rollout.max_prompt_tokens
    if run.config.rollout.long_prompts == "leave out":
        built.keep(lambda row: lengths[row.id] <= most, TOO_LONG)
    if not built.rows:
        why = ", ".join(f"{count}: {reason}" for reason, count in built.left_out.items())
        raise UnfitConfiguration(f"There is nothing to learn from ({why or 'no rows'}).")
    counts = sorted(lengths[row.id] for row in built.rows)
    what = "prompt and reply" if run.method == "sft" else "prompt"
    shown.say(
        f"{len(counts)} rows; tokens of {what}: least {counts[0]}, median {median(counts):.0f}, most {counts[-1]}"
    )
    for reason, count in sorted(built.left_out.items()):
        shown.say(f"{count} left out: {reason}")


def _token_counts(run: Run, rows: Sequence[Row]) -> dict[str, int]:
    """Of the prompt, and of the reply where that is learned, by row id."""
    reader = models.tokenizer(run.config.model)
    counts = {}
    for row in rows:
        counts[row.id] = len(models.prompt_tokens(reader, row))
        if run.method == "sft":
            counts[row.id] += len(models.target_tokens(reader, row))
    return counts


# The record and the trainer


def _record(run: Run, built: Built, reward: RewardConfig | None, embedder: str, others: dict[str, str]) -> RunRecord:
    model = run.config.model
    before = run_record.of_model(run.start) if run.start else None
    policy = run_record.of_policy(run.start) if run.start else None
    return RunRecord(
        role=run.role,
        method=run.method,
        config=run.config.model_dump(mode="json"),
        reward={term.value: weight for term, weight in reward.weights.items()} if reward else None,
        data=built.record(run.source),
        base=_base(run, before or policy),
        revision=model.revision,
        prompt=PromptStamp.of(run.role, getattr(run.rules, run.role.value)),
        rules=run.rules.model_dump(mode="json"),
        embedder=embedder,
        others=others,
        start=str(run.start) if run.start else None,
        before=before,
        policy=policy,
        git=run_record.git(),
        versions=run_record.versions(),
        seed=run.config.seed,
        started=run_record.now(),
    )


def _base(run: Run, before: RunRecord | PolicyStamp | None) -> Base:
    """The model before any training. Raises `UnfitConfiguration` where an adapter was made for another."""
    model = run.config.model
    found = Path(folder_or_name(model))
    name = "SmolLM2-135M-Instruct" if model.name == "packaged" else model.name
    base = Base(name=name, sha256=source_sha256(found) if found.is_dir() else None)
    if before is None:
        return base
    if model.start_adapter and before.base.sha256 != base.sha256:
        raise UnfitConfiguration(f"The adapter in {run.start} was made for {before.base.name}, not for {base.name}.")
    return before.base


def _learn(run: Run, task: Any, record: RunRecord, shown: Shown) -> RunRecord:
    if is_first_process():
        run_folder.start(run.out, run.config, run.method, run.resume)
        record = run_record.begun(run.out, record)
    with _stopping(shown) as stop:
        # The folder was made here, so that the record lies in it while the run goes on.
        trained = _method(run)(run.config, task, run.out, resume=True, stop=stop)
    if is_first_process():
        record = run_record.ended(run.out, record, trained.rounds, trained.finished)
    return record


def _method(run: Run) -> Callable[..., Trained]:
    """The engine's: verl's where the configuration has its section, but for supervised training."""
    if run.config.verl and run.method in ("grpo", "ppo"):
        from training.verl_adapter import TaskSource, VerlTrainer

        verl = VerlTrainer(TaskSource(f"{__name__}:{task_of.__name__}", {"run": run.model_dump(mode="json")}))
        return verl.grpo if run.method == "grpo" else verl.ppo
    from training.trl_adapter import TrlTrainer

    method: Callable[..., Trained] = getattr(TrlTrainer(), run.method)
    return method


@contextmanager
def _stopping(shown: Shown) -> Iterator[Stop]:
    """The first Ctrl-C or SIGTERM ends the run after its round, with a checkpoint; a second one ends it at once."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        shown.say("stopping after this round; once more to end at once")
        for one, former in formers.items():
            signal.signal(one, former)

    formers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        for one in formers:
            signal.signal(one, ask)
        yield lambda: asked
    finally:
        for one, former in formers.items():
            signal.signal(one, former)


def is_first_process() -> bool:
    """Whether this process writes and speaks, where several train one model."""
    return int(os.environ.get("RANK", "0")) == 0


def _wait_for_the_first_process(run: Run) -> None:
    """Models are asked by one process; the others read what it was told, so that all have the same rows."""
    while not is_first_process() and not (run.out / run_record.FILE).exists():
        time.sleep(_POLL_SECONDS)
