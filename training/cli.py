"""The command line of training: simulate, sft, grpo, ppo, logo, eval, export, score."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from app.core.errors import MemoryServiceError
from app.core.locomo import LocomoError
from app.core.values import Role
from training.data.files import DataError
from training.engine import TrainingError, UnfitConfiguration
from training.simulator.pools import Split

if TYPE_CHECKING:
    from training.evaluation.config import LocomoData, SimulatorData

cli = typer.Typer(no_args_is_help=True, add_completion=True, help="Memory-R1: train and measure the agents.")
out, err = Console(), Console(stderr=True)


class DataKind(StrEnum):
    """Where rows come from."""

    SIMULATOR = "simulator"
    LOCOMO = "locomo"
    TRACES = "traces"


class TrainingSplit(StrEnum):
    """What may be trained on."""

    TRAIN = "train"
    VALIDATION = "validation"


class ExamKind(StrEnum):
    """What is asked about."""

    SIMULATOR = "simulator"
    LOCOMO = "locomo"


class ExamSplit(StrEnum):
    """What may be measured on."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    EXAM = "exam"


class TableRows(StrEnum):
    """Which systems are measured."""

    ALL = "all"
    BASELINES = "baselines"
    AGENTS = "agents"
    """All ablations."""
    TEAMS = "teams"
    """The agents all untrained, and with all that are trained."""


RoleOption = Annotated[Role, typer.Option(help="Who learns.")]
Config = Annotated[str, typer.Option(help="A TOML file, or the name of one in training/configs.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the run.")]
Data = Annotated[DataKind, typer.Option(help="Where the rows come from.")]
File = Annotated[Path | None, typer.Option(help="Conversations that `simulate` wrote, or traces.")]
Locomo = Annotated[Path | None, typer.Option(envvar="MEMORY_R1_LOCOMO", help="LoCoMo's file, as published.")]
DataSplit = Annotated[TrainingSplit, typer.Option(help="LoCoMo's: conv-26, conv-30.")]
Seed = Annotated[int, typer.Option(help="Of the simulator; training's own: --set seed=2.")]
Conversations = Annotated[int, typer.Option(min=1, help="Of the simulator.")]
Unanswerable = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="The share kept of the simulator's questions that were never told; if unset, a quarter for sft, else all.",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
Start = Annotated[Path | None, typer.Option(help="Go on from a run's model, or an adapter.")]
RewardName = Annotated[str | None, typer.Option("--reward", help="paper or small; as configured if unset.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Set a value: grpo.rounds=50. Repeat it.")]
ExtractorModel = Annotated[str | None, typer.Option("--extractor", help="Model that reads LoCoMo's facts.")]
ManagerModel = Annotated[str | None, typer.Option("--manager", help="Model that makes its bank, or add-all.")]
AnswererModel = Annotated[str | None, typer.Option("--answerer", help="Model for the reward; base if unset.")]
MODELS = (
    "How a model is named: `base` is the configuration's own, in this process; a folder is an adapter on it, of a run "
    "or exported; MODEL@URL is on an OpenAI-compatible server, FOLDER@URL an adapter that a vLLM there is given. "
    "`add-all` in place of LoCoMo's manager adds each fact."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: errors that a user can act on are one line, not a trace."""
    try:
        cli(arguments)
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        err.print(f"[bold red]Error:[/] {escape(line)}", highlight=False, soft_wrap=True)
        sys.exit(1)


def explained(error: Exception) -> str | None:
    """One line on an error that a user can act on; None for a fault of ours."""
    match error:
        case TrainingError() | DataError() | LocomoError() | MemoryServiceError():
            return str(error)
        case ModuleNotFoundError():
            return f"{error.name} is not installed; `make training` installs what training needs."
        case OSError():
            # The first line: transformers goes on with advice in several.
            return str(error).partition("\n")[0]
    return None


class _Shown:
    """Progress and lines on standard error; of several processes, the first alone speaks."""

    def __init__(self, is_first: bool) -> None:
        self._console = err if is_first else Console(quiet=True)
        self._progress = Progress(console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._progress.add_task("rows", total=None)

    def say(self, line: str) -> None:
        self._progress.stop()
        self._console.print(escape(line), highlight=False, soft_wrap=True)

    def advance(self, done: int, total: int) -> None:
        self._progress.start()
        self._progress.update(self._task, completed=done, total=total)
        if done == total:
            self._progress.stop()


@cli.command()
def simulate(
    split: Annotated[Split, typer.Option(help="Each has its own names and wording.")] = Split.TRAIN,
    seed: Annotated[int, typer.Option(help="The same seed gives the same conversations.")] = 1,
    conversations: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    file: Annotated[Path | None, typer.Option("--out", help="Write them to this file, as JSON lines.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the dialogues with what is right.")] = False,
) -> None:
    """Make conversations with known right facts, operations and answers; print what they hold."""
    from itertools import islice

    from training.simulator import storage, world

    made = list(islice(world.conversations(split, seed), conversations))
    if show:
        out.print(escape("\n\n".join(map(storage.as_text, made))), highlight=False, soft_wrap=True)
    if file:
        storage.write_jsonl(file, made)
    out.print(storage.statistics(made), highlight=False, soft_wrap=True)


def _trains(method: str) -> Callable[..., None]:
    """The command of a method; all have the same options."""

    def command(
        role: RoleOption,
        config: Config,
        out_dir: Out,
        data: Data = DataKind.SIMULATOR,
        file: File = None,
        locomo: Locomo = None,
        split: DataSplit = TrainingSplit.TRAIN,
        seed: Seed = 1,
        conversations: Conversations = 100,
        unanswerable: Unanswerable = None,
        resume: Resume = False,
        start: Start = None,
        reward: RewardName = None,
        overrides: Overrides = None,
        extractor: ExtractorModel = None,
        manager: ManagerModel = None,
        answerer: AnswererModel = None,
    ) -> None:
        from training import runs
        from training.overrides import configured
        from training.ports import Chosen
        from training.sources import Source

        source = Source(
            kind=data.value,
            split=split.value,
            seed=seed,
            conversations=conversations,
            unanswerable=unanswerable,
            file=locomo if data is DataKind.LOCOMO else file,
        )
        given = {Role.EXTRACTOR: extractor, Role.MANAGER: manager, Role.ANSWERER: answerer}
        chosen = [*(overrides or []), *([f"reward={reward}"] if reward else [])]
        run = runs.Run(
            role=role,
            method=method,
            config=configured(config, chosen),
            source=source,
            out=out_dir,
            resume=resume,
            start=start,
            others={other: Chosen.read(model) for other, model in given.items() if model},
        )
        is_first = runs.is_first_process()
        record = runs.train(run, _Shown(is_first))
        if is_first:
            done = "Finished" if record.finished else "Stopped, to go on with --resume"
            out.print(f"{done}. Rounds done: {record.rounds}. Model: {out_dir / 'model'}", soft_wrap=True)

    return command


for _method, _help in {
    "sft": "Learn right replies: a warm start, without which a reward that is zero everywhere teaches nothing.",
    "grpo": "Learn from rewards; replies to the same prompt are compared.",
    "ppo": "Learn from rewards, with a critic.",
    "logo": "LoGo-GRPO for the manager: whole stretches of conversations, and decisions made again.",
}.items():
    cli.command(_method, help=_help, epilog=MODELS)(_trains(_method))


@cli.command("eval", epilog=MODELS)
def evaluate(
    config: Config,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the evaluation.")],
    data: Annotated[ExamKind, typer.Option(help="What is asked about.")] = ExamKind.SIMULATOR,
    locomo: Locomo = None,
    split: Annotated[
        ExamSplit, typer.Option(help="The simulator's last is exam, LoCoMo's is test.")
    ] = ExamSplit.VALIDATION,
    conversation: Annotated[list[str] | None, typer.Option(help="Of LoCoMo, in place of a split. Repeat it.")] = None,
    seed: Annotated[int, typer.Option(help="Of the simulator.")] = 1,
    conversations: Annotated[int, typer.Option(min=1, help="Of the simulator.")] = 4,
    untrained: Annotated[str, typer.Option(help="Model of all roles that nothing else is named for.")] = "base",
    extractor: Annotated[str | None, typer.Option(help="The trained extractor.")] = None,
    manager: Annotated[str | None, typer.Option(help="The trained manager.")] = None,
    answerer: Annotated[str | None, typer.Option(help="The trained Answer Agent.")] = None,
    judge: Annotated[str | None, typer.Option(help="Model that judges answers; none if unset.")] = None,
    rows: Annotated[TableRows, typer.Option(help="Which rows of the tables.")] = TableRows.ALL,
    best_guess: Annotated[
        bool, typer.Option("--best-guess", help="Add a row of the trained agents that may not abstain.")
    ] = False,
    turns: Annotated[int | None, typer.Option(min=1, help="Only the first so many; to try it out.")] = None,
    questions: Annotated[int | None, typer.Option(min=1, help="Only so many; to try it out.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on; what was asked is not asked again.")] = False,
    overrides: Overrides = None,
) -> None:
    """Measure the agents as the paper does: untrained, trained, and baselines, under the same prompts."""
    from training import measuring
    from training.evaluation.config import Limits
    from training.overrides import configured
    from training.ports import Chosen

    given = {Role.EXTRACTOR: extractor, Role.MANAGER: manager, Role.ANSWERER: answerer}
    measuring.measure(
        measuring.Measurement(
            config=configured(config, overrides or []),
            data=_exam(data, locomo, split, conversation or [], seed, conversations),
            out=out_dir,
            untrained=Chosen.read(untrained),
            trained={role: Chosen.read(model) for role, model in given.items() if model},
            rows=rows.value,
            best_guess=best_guess,
            judge=Chosen.read(judge) if judge else None,
            limits=Limits(turns=turns, questions=questions),
            resume=resume,
        )
    )
    out.print(f"The tables are in {out_dir / 'results.md'}.", soft_wrap=True)


def _exam(
    kind: ExamKind, locomo: Path | None, split: ExamSplit, chosen: list[str], seed: int, count: int
) -> LocomoData | SimulatorData:
    from training.data.locomo import Part
    from training.evaluation.config import LocomoData, SimulatorData

    wrong = ExamSplit.TEST if kind is ExamKind.SIMULATOR else ExamSplit.EXAM
    if split is wrong:
        raise UnfitConfiguration(f"The {kind.value} has no split {split.value}.")
    if kind is ExamKind.SIMULATOR:
        return SimulatorData(split=Split(split.value), seed=seed, count=count)
    if locomo is None:
        raise UnfitConfiguration("Name the LoCoMo file with --locomo, or in MEMORY_R1_LOCOMO.")
    return LocomoData(file=locomo, part=None if chosen else Part(split.value), conversations=tuple(chosen))


@cli.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    name: Annotated[str, typer.Option(help="Of the policy: small letters, digits, dots and dashes.")],
    out_dir: Annotated[Path, typer.Option("--out", help="New folder of the policy.")],
    merged: Annotated[bool, typer.Option("--merged", help="The whole model instead of the adapter.")] = False,
    scores: Annotated[Path | None, typer.Option(help="Folder of an evaluation.")] = None,
    limit: Annotated[list[str] | None, typer.Option(help="What it cannot do, for its readers. Repeat it.")] = None,
    licence: Annotated[str | None, typer.Option(help="Where it does not follow from data and base.")] = None,
    max_mib: Annotated[float | None, typer.Option(help="Refuse a larger one.")] = None,
) -> None:
    """Write what was trained to a folder that vLLM and the service load, with its stamp and its model card."""
    from training import export as exporting
    from training import handing_over, run_record

    record = run_record.read(run)
    measured = handing_over.scores(scores, record.role) if scores else []
    stamp = exporting.export(
        run,
        out_dir,
        handing_over.provenance(record, name, licence, limit or [], measured),
        form="merged" if merged else "adapter",
        max_bytes=None if max_mib is None else int(max_mib * exporting.MIB),
    )
    out.print(f"The policy {stamp.label} is in {out_dir}.", soft_wrap=True)


@cli.command()
def score(
    policy: Annotated[Path, typer.Argument(help="Folder of an exported policy.")],
    scores: Annotated[list[Path], typer.Option(help="Folder of an evaluation of this policy. Repeat it.")],
    limit: Annotated[list[str] | None, typer.Option(help="In place of the limits told so far. Repeat it.")] = None,
) -> None:
    """Put scores on an exported policy's stamp and model card, in place of those that it has."""
    from app.core.policies import read_policy
    from training import export as exporting
    from training import handing_over

    stamp = read_policy(policy)
    found = [one for folder in scores for one in handing_over.scores_of_policy(folder, stamp)]
    exporting.rescore(policy, found, limit or [])
    out.print(f"{len(found)} scores are on the card of {stamp.label}.", soft_wrap=True)


if __name__ == "__main__":
    main()
