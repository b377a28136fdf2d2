"""Running an evaluation: banks, answers, verdicts, tables, pictures. What is there already is not asked again.

OUT/config.json                    what the folder is about; another configuration is refused
OUT/replies/<role>-<policy>.jsonl  every reply and failure of a model, as it came
OUT/embeddings.jsonl               every vector
OUT/facts/<extractor>.jsonl        the facts of each turn, and those that were rejected
OUT/banks/<extractor>+<manager>/   each conversation's bank at its end, with what became of each turn
OUT/questions/<system>.jsonl       each question with its answer, scores, verdicts, and where it was lost
OUT/results.json, results.md, *.png
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from app.core import scoring
from app.core.ports import Completer, Embedder
from app.core.values import Role
from training.data.files import sha256_of
from training.engine import NotResumable, UnfitConfiguration
from training.evaluation import exam, judging, measures, operations, plots, report
from training.evaluation.answering import Result, results
from training.evaluation.config import ADD_ALL, KNOWN_FACTS, EvalConfig, Kind, LocomoData
from training.evaluation.exam import Exam
from training.evaluation.journal import RecordingCompleter, RecordingEmbedder, write_whole
from training.evaluation.judging import Verdicts
from training.evaluation.measures import BankScores, Results
from training.evaluation.memory_files import write_bank, write_facts
from training.evaluation.operations import OperationScores
from training.evaluation.systems import Workshop

CONFIG = "config.json"
Recorded = dict[tuple[Role, str], RecordingCompleter]


async def evaluate(
    config: EvalConfig,
    out_dir: Path,
    completers: Mapping[str, Completer],
    embedder: Embedder,
    *,
    judge: Completer | None = None,
    resume: bool = False,
) -> Results:
    """Evaluate all systems, and write everything into `out_dir`.

    `completers` are the policies by name. With `resume` the folder is gone on with: what was asked is kept, failures of
    the moment are tried again, and systems, policies or a judge may have come in addition. Raises `NotResumable`,
    `UnfitConfiguration`, what loading the data raises, and a `ModelError` where embedding fails.
    """
    _check_given(config, completers, judge)
    asked = exam.read(config)
    _start(out_dir, config, embedder.model, resume)
    recorded = _recorded(config, out_dir, completers)
    keeping = RecordingEmbedder(out_dir / "embeddings.jsonl", embedder)
    answers, banks = await _answers(config, asked, recorded, keeping, out_dir)
    await _facts(config, asked, recorded, out_dir)
    marks = await _verdicts(config, answers, judge, out_dir)
    found = Results(
        note=asked.note,
        embedder=embedder.model,
        policies={name: config.policies[name] for name in sorted(config.used_policies)},
        judge=_judge_stamp(config),
        systems={name: measures.of_system(one, marks[name], config) for name, one in answers.items()},
        banks=banks,
        operations=await _operations(config, asked, recorded, keeping),
        differences=measures.differences(answers, config),
        reference=config.reference or config.systems[-1].name,
        is_locomo=asked.is_locomo,
        is_papers_test=asked.is_papers_test,
        right_at=config.right_at,
    )
    write_whole(out_dir / "results.json", found.model_dump_json(indent=1) + "\n")
    write_whole(out_dir / "results.md", report.text(found))
    if config.plots:
        plots.draw(found, out_dir)
    return found


def _check_given(config: EvalConfig, completers: Mapping[str, Completer], judge: Completer | None) -> None:
    if missing := config.used_policies - set(completers):
        raise UnfitConfiguration(f"No model is given for {', '.join(sorted(missing))}.")
    if config.judge and judge is None:
        raise UnfitConfiguration("A judge is asked for, and no model is given for it.")


def _start(out_dir: Path, config: EvalConfig, embedder: str, resume: bool) -> None:
    """Make the folder, or check that it is about the same."""
    file = out_dir / CONFIG
    about = {**config.what_answers_depend_on(), "embedder": embedder, "policies": dict(config.policies)}
    if isinstance(config.data, LocomoData):
        about["data"]["file"] = sha256_of(config.data.file)
    if file.exists() and not resume:
        raise NotResumable(f"There is an evaluation in {out_dir} already: resume it, or choose another folder.")
    if file.exists():
        held = json.loads(file.read_text(encoding="utf-8"))
        policies = held.pop("policies")
        other = [name for name, one in held.items() if about[name] != one]
        other += [f"policy {name}" for name, one in policies.items() if config.policies.get(name, one) != one]
        if other:
            raise NotResumable(f"The evaluation in {out_dir} is another one: {', '.join(other)} differ.")
        about["policies"] = policies | config.policies
    write_whole(file, json.dumps(about, indent=1, sort_keys=True) + "\n")


def _recorded(config: EvalConfig, out_dir: Path, completers: Mapping[str, Completer]) -> Recorded:
    roles = {(Role.ANSWERER, system.answerer) for system in config.systems}
    for system in config.systems:
        if system.kind is Kind.AGENTS:
            roles |= {(Role.EXTRACTOR, str(system.extractor)), (Role.MANAGER, str(system.manager))}
    return {
        (role, name): RecordingCompleter(out_dir / "replies" / f"{role.value}-{name}.jsonl", completers[name])
        for role, name in sorted(roles)
        if name not in (KNOWN_FACTS, ADD_ALL)
    }


async def _answers(
    config: EvalConfig, asked: Exam, recorded: Recorded, embedder: Embedder, out_dir: Path
) -> tuple[dict[str, list[Result]], dict[str, BankScores]]:
    """By system, and by who made a bank. One conversation after the other, since what is made of one is large."""
    found: dict[str, list[Result]] = {system.name: [] for system in config.systems}
    banks: dict[str, list[BankScores]] = {}
    total = len(config.systems) * len(asked.conversations)
    with tqdm(total=total, disable=not config.progress, unit="conversation") as bar:
        for conversation in asked.conversations:
            workshop = Workshop(config, conversation, asked.simulated.get(conversation.id), recorded, embedder)
            for system in config.systems:
                bar.set_description(f"{conversation.id} {system.name}")
                found[system.name] += await results(workshop, system)
                _write_questions(out_dir, system.name, found[system.name], {})
                bar.update()
            for name, scores in (await _banks(workshop, out_dir)).items():
                banks.setdefault(name, []).append(scores)
    return found, {name: measures.together(scores) for name, scores in banks.items()}


async def _banks(workshop: Workshop, out_dir: Path) -> dict[str, BankScores]:
    """Write the banks of a conversation; their scores by who made them."""
    agents = [system for system in workshop.config.systems if system.kind is Kind.AGENTS]
    found: dict[str, BankScores] = {}
    for extractor, manager in dict.fromkeys((str(system.extractor), str(system.manager)) for system in agents):
        name = f"{extractor}+{manager}"
        heard = await workshop.hear(extractor, manager)
        path = out_dir / "banks" / name / f"{workshop.conversation.id}.json"
        await write_bank(path, workshop.conversation, heard)
        found[name] = await measures.of_bank(heard)
    return found


async def _facts(config: EvalConfig, asked: Exam, recorded: Recorded, out_dir: Path) -> None:
    for role, name in recorded:
        if role is Role.EXTRACTOR:
            path = out_dir / "facts" / f"{name}.jsonl"
            await write_facts(path, asked.conversations, recorded[role, name], config.rules.extractor)


def _write_questions(out_dir: Path, system: str, answered: Sequence[Result], marks: Mapping[str, Verdicts]) -> None:
    lines = [
        result.model_dump(mode="json")
        | {"verdicts": {prompt: verdicts.get(result.id) for prompt, verdicts in marks.items()}}
        for result in answered
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_whole(out_dir / "questions" / f"{system}.jsonl", text)


async def _verdicts(
    config: EvalConfig, answers: Mapping[str, list[Result]], judge: Completer | None, out_dir: Path
) -> dict[str, dict[str, Verdicts]]:
    """By system, then by the judge's prompt."""
    if config.judge is None or judge is None:
        return {name: {} for name in answers}
    prompts = judging.recorders(config.judge, judge, out_dir / "replies")
    found: dict[str, dict[str, Verdicts]] = {}
    for name, answered in tqdm(answers.items(), "judging", disable=not config.progress, unit="system"):
        found[name] = {
            prompt: await judging.verdicts(runs, answered, config.concurrency, strict=prompt == "strict")
            for prompt, runs in prompts.items()
        }
        _write_questions(out_dir, name, answered, found[name])
    return found


async def _operations(
    config: EvalConfig, asked: Exam, recorded: Recorded, embedder: Embedder
) -> dict[str, OperationScores]:
    """By manager, with the rule that adds everything beside them."""
    simulated = list(asked.simulated.values())
    if not simulated or not config.operations or not config.managers:
        return {}
    return {
        manager: await operations.scores(
            simulated, recorded.get((Role.MANAGER, manager)), embedder, config.rules, config.concurrency
        )
        for manager in dict.fromkeys((ADD_ALL, *config.managers))
    }


def _judge_stamp(config: EvalConfig) -> dict[str, str]:
    if config.judge is None:
        return {}
    versions = {prompt: scoring.judge_version(strict=prompt == "strict") for prompt in config.judge.prompts}
    return {"model": config.judge.model, "runs": str(config.judge.runs)} | versions
