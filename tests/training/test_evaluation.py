"""Whole evaluations with scripted agents: one where each question is lost elsewhere, and runs that are interrupted."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.core.agents.answerer import AnswererOptions
from app.core.errors import ModelRefused, ModelUnreachable
from app.core.ports import Completer
from app.core.values import Completion, Prompt, Role
from tests.fixtures.doubles import (
    HashEmbedder,
    ScriptedCompleter,
    abstains_where_it_may,
    decisions,
    every_sentence,
    question_of,
)
from training import handing_over
from training.data.locomo import Part
from training.engine import NotResumable, UnfitConfiguration
from training.episode import Rules
from training.evaluation import exam, report
from training.evaluation.config import (
    BASELINES,
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
from training.evaluation.losses import Loss
from training.evaluation.measures import Results
from training.evaluation.run import evaluate
from training.simulator.oracle import oracle_bank

AGENTS = "agents.base+base+base"


# A conversation in which each question is lost at another place

SAID = [
    ("Ada", "I have a dog named Rex."),
    ("Ben", "I love green tea."),
    ("Ada", "I bought a red canoe for the dog."),
    ("Ben", "I play the cello."),
    ("Ben", "I no longer play the cello."),
    ("Ada", "I work at a bakery."),
    ("Ben", "I live in Oslo."),
    ("Ada", "I visited Lisbon."),
]
ASKED = [
    # Question, gold, category, evidence; what the scripted agent answers, and from which line.
    ("What is the name of Ada's dog?", "Rex", 4, "D1:1", "Rex", "Rex", Loss.RIGHT),
    ("What does Ben love?", "green tea", 4, "D1:2", None, None, Loss.NOT_EXTRACTED),
    ("What did Ada buy?", "a red canoe", 1, "D1:3", None, None, Loss.NOT_STORED),
    ("Which instrument does Ben play?", "the cello", 1, "D1:4", None, None, Loss.REMOVED),
    ("Where does Ada work, at a bakery?", "yes, at a bakery", 3, "D1:6", "school", "bakery", Loss.ANSWERED_WRONG),
    ("Does Ben live in Oslo, and who is Rex the dog?", "Ben does", 2, "D1:7", "Rex", "Rex", Loss.NOT_DISTILLED),
    ("Has Ben a dog named Rex?", "no, in Lisbon", 2, "D1:8", "Rex", "Rex", Loss.NOT_RETRIEVED),
    ("Where is the bakery?", "in Rome", 4, "", "Paris", "bakery", Loss.NO_EVIDENCE),
    ("Why does Ada work?", "she must", 4, "D1:6", ModelRefused("Status 400."), None, Loss.FAILED),
    ("What colour is Ben's cat?", None, 5, "D1:4", None, None, None),
]


def a_locomo_file(folder: Path) -> Path:
    said = [{"dia_id": f"D1:{n}", "speaker": who, "text": text} for n, (who, text) in enumerate(SAID, start=1)]
    asked = [{"question": q, "answer": gold, "category": number, "evidence": [evidence] if evidence else []}
             for q, gold, number, evidence, *_ in ASKED]  # fmt: skip
    conversation = {"speaker_a": "Ada", "speaker_b": "Ben", "session_1": said}
    conversation["session_1_date_time"] = "1:56 pm on 8 May, 2023"
    path = folder / "locomo.json"
    path.write_text(json.dumps([{"sample_id": "conv-1", "qa": asked, "conversation": conversation}]))
    return path


def extracting(prompt: Prompt) -> str:
    return json.dumps({"facts": []}) if "green tea" in question_of(prompt).splitlines()[-1] else every_sentence(prompt)


def deciding(prompt: Prompt) -> str:
    def operations(fact: str) -> list[dict[str, Any]]:
        cello = re.search(r"^(m\d+) .*play the cello", question_of(prompt), re.MULTILINE)
        if "no longer" in fact and cello:
            return [{"op": "DELETE", "memory": cello[1]}]
        # The dog is known, and the canoe has no name: a NOOP that stands, and is wrong.
        return [{"op": "NOOP" if "canoe" in fact else "ADD"}]

    return decisions(prompt, operations)


def answering(prompt: Prompt) -> str:
    """What the table above says."""
    asked = question_of(prompt).rpartition("Question: ")[2]
    answer, line = next((row[4], row[5]) for row in ASKED if row[0] == asked)
    if isinstance(answer, ModelRefused):
        raise answer
    found = re.search(rf"^(\d+)\. .*{line}", question_of(prompt), re.MULTILINE) if line else None
    return json.dumps({"memories": [int(found[1])] if found else [], "answer": answer})


def scripted() -> ScriptedCompleter:
    return ScriptedCompleter(extractor=extracting, manager=deciding, answerer=answering)


def a_config(data: LocomoData | SimulatorData, **fields: Any) -> EvalConfig:
    agents = System(kind=Kind.AGENTS, extractor="base", manager="base", answerer="base")
    given = {"policies": {"base": "scripted"}, "systems": (agents,)} | fields
    return EvalConfig(data=data, progress=False, resamples=50, plots=False, **given)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_who_is_asked_for_a_best_guess_does_not_abstain(tmp_path: Path) -> None:
    data = LocomoData(file=a_locomo_file(tmp_path), conversations=("conv-1",))
    agents = System(kind=Kind.AGENTS, extractor="base", manager="base", answerer="base")
    bm25 = System(kind=Kind.BM25, answerer="base")
    both = [one.model_copy(update={"best_guess": guess}) for one in (bm25, agents) for guess in (False, True)]
    completer = ScriptedCompleter(answerer=abstains_where_it_may)
    found = await evaluate(a_config(data, systems=tuple(both)), tmp_path / "out", {"base": completer}, HashEmbedder())
    for system in both:
        abstained = found.systems[system.name].abstention.abstained
        assert abstained is not None and abstained.mean == (0.0 if system.best_guess else 1.0)
        written = lines(tmp_path / "out" / "questions" / f"{system.name}.jsonl")
        assert {one["answer"] for one in written} == {"Alice" if system.best_guess else None}
        assert all(one["prompt_version"].endswith("-best-guess") == system.best_guess for one in written)


async def test_a_card_tells_best_guesses_apart(tmp_path: Path) -> None:
    data = LocomoData(file=a_locomo_file(tmp_path), conversations=("conv-1",))
    before = System(kind=Kind.AGENTS, extractor="untrained", manager="untrained", answerer="untrained")
    after = before.model_copy(update={"answerer": "answerer"})
    systems = (after.model_copy(update={"best_guess": True}), before, after)
    config = a_config(data, systems=systems, policies={"untrained": "base", "answerer": "trained"})
    completers = {"untrained": scripted(), "answerer": ScriptedCompleter(answerer=abstains_where_it_may)}
    await evaluate(config, tmp_path / "out", completers, HashEmbedder())
    told = {score.measure: score for score in handing_over.scores(tmp_path / "out", Role.ANSWERER)}
    plain = told["abstained from questions without an answer, with the trained answerer"]
    assert plain.after.value == 1.0
    guessed = {measure.partition(",")[0] for measure in told if measure.endswith(", asked for a best guess")}
    assert guessed == set(handing_over.ON_CARDS)
    f1 = told["mem0_f1, with the trained answerer, asked for a best guess"]
    assert f1.before == told["mem0_f1, with the trained answerer"].before
    assert not any("guess" in score.measure for score in handing_over.scores(tmp_path / "out", Role.MANAGER))


async def test_each_question_is_lost_where_it_was_lost(tmp_path: Path) -> None:
    data = LocomoData(file=a_locomo_file(tmp_path), conversations=("conv-1",))
    config = a_config(data, rules=Rules(answerer=AnswererOptions(candidates=2, attach_sources=False)))
    found = await evaluate(config, tmp_path / "out", {"base": scripted()}, HashEmbedder())
    written = lines(tmp_path / "out" / "questions" / f"{AGENTS}.jsonl")
    assert {one["question"]: one["loss"] for one in written} == {row[0]: row[6] for row in ASKED}
    system = found.systems[AGENTS]
    assert system.groups["all"].questions == sum(system.groups["all"].losses.values()) == 9
    assert {name: group.questions for name, group in system.groups.items()} == {
        "multi-hop": 2, "open-domain": 1, "single-hop": 4, "temporal": 2, "all": 9,
    }  # fmt: skip
    # One of nine is right word by word; "Rex" against "Ben does" and the like share nothing.
    assert system.groups["all"].scores["exact_match"].mean == pytest.approx(1 / 9)
    # Of the evidence of eight questions, the turns 1, 6 (twice), 7 and 8 are in the bank.
    assert system.groups["all"].recall["in the bank"] == pytest.approx(5 / 8)
    assert (system.abstention.questions, system.groups["all"].failed) == (1, 1)
    assert system.abstention.abstained is not None
    assert system.abstention.abstained.mean == 1.0
    text = (tmp_path / "out" / "results.md").read_text()
    assert 'multi-hop (1; Mem0: "Single Hop"), n=2' in text
    assert "there is ONE conversation" in text
    assert "Not measured here" not in text
    papers = report.text(found.model_copy(update={"is_papers_test": True}))
    assert "Not measured here" in papers
    assert "45.02 / 37.51 / 62.74" in papers
    failed = next(one for one in written if one["loss"] == Loss.FAILED)
    assert (failed["outcome"], failed["answer"], failed["failure"]["kind"]) == (None, None, "ModelRefused")
    bank = json.loads((tmp_path / "out" / "banks" / "base+base" / "conv-1.json").read_text())
    assert [memory["sources"] for memory in bank["memories"]] == [["D1:1"], ["D1:6"], ["D1:7"], ["D1:8"]]
    facts = lines(tmp_path / "out" / "facts" / "base.jsonl")
    assert [one["turn"] for one in facts if not one["facts"]] == ["D1:2"]


async def test_the_baselines_hold_what_their_names_say(tmp_path: Path) -> None:
    data = LocomoData(file=a_locomo_file(tmp_path), conversations=("conv-1",))
    systems = tuple(System(kind=kind, answerer="base") for kind in (*BASELINES, Kind.HYBRID))
    await evaluate(a_config(data, systems=systems), tmp_path / "out", {"base": scripted()}, HashEmbedder())
    first = {system.kind: lines(tmp_path / "out" / "questions" / f"{system.name}.jsonl")[0] for system in systems}
    assert first[Kind.NO_MEMORY]["candidates"] == []
    assert first[Kind.FULL_CONTEXT]["candidates"] == [[f"D1:{n}"] for n in range(1, 9)]
    assert first[Kind.ORACLE]["candidates"] == [["D1:1"]]
    assert first[Kind.BM25]["candidates"][0] == ["D1:1"]
    for kind in (Kind.DENSE, Kind.HYBRID):
        assert len(first[kind]["candidates"]) == 8
        assert first[kind]["recall"]["@10"] == 1.0
    assert first[Kind.NO_MEMORY]["recall"] == {
        "@10": None, "@30": None, "@60": None, "in the prompt": 0.0, "in the bank": 0.0,
    }  # fmt: skip


async def test_a_failure_of_the_moment_is_recorded_and_tried_again(tmp_path: Path) -> None:
    data = LocomoData(file=a_locomo_file(tmp_path), conversations=("conv-1",))
    out = tmp_path / "out"

    def unreachable(prompt: Prompt) -> str:
        raise ModelUnreachable("Cannot reach the model.")

    broken = {"base": ScriptedCompleter(extractor=unreachable, manager=deciding, answerer=answering)}
    first = await evaluate(a_config(data), out, broken, HashEmbedder())
    assert (first.banks["base+base"].failed, first.banks["base+base"].memories) == (8, 0)
    assert first.systems[AGENTS].groups["all"].losses[Loss.NOT_EXTRACTED] == 8
    assert all(one["failure"]["kind"] == "ModelUnreachable" for one in lines(out / "facts" / "base.jsonl"))
    second = await evaluate(a_config(data), out, {"base": scripted()}, HashEmbedder(), resume=True)
    assert (second.banks["base+base"].failed, second.banks["base+base"].memories) == (0, 4)
    whole = await evaluate(a_config(data), tmp_path / "whole", {"base": scripted()}, HashEmbedder())
    assert second == whole


# Resuming


class Interrupted(BaseException):
    """As Ctrl-C would."""


class Breaking:
    """Says which roles were called, and breaks off at a call."""

    def __init__(self, completer: Completer, calls: list[str], name: str = "", at: int | None = None) -> None:
        self._completer, self._calls, self._name, self._at = completer, calls, name, at

    async def complete(self, prompt: Prompt) -> Completion:
        if len(self._calls) == self._at:
            raise Interrupted
        self._calls.append(self._name or prompt.role.value)
        await asyncio.sleep(0)
        return await self._completer.complete(prompt)


class Judging:
    async def complete(self, prompt: Prompt) -> Completion:
        """CORRECT where the gold answer's first word is in the answer."""
        asked = json.loads(prompt.messages[-1].content)
        right = asked["gold_answer"].split()[0].lower() in asked["answer"].lower()
        reply = {"reason": "by its first word", "label": "CORRECT" if right else "WRONG"}
        return Completion(text=json.dumps(reply), policy="judge")


def simulated_config(**fields: Any) -> EvalConfig:
    agents = System(kind=Kind.AGENTS, extractor="base", manager="base", answerer="base")
    systems = (System(kind=Kind.BM25, answerer="base"), agents, agents.model_copy(update={"distil": False}))
    return a_config(
        SimulatorData(seed=5, count=2),
        systems=systems,
        limits=Limits(turns=14, questions=4),
        judge=Judge(model="by-first-word", runs=2),
        **fields,
    )


async def run(out: Path, calls: list[str], at: int | None = None, *, resume: bool = False) -> Results:
    completers = {"base": Breaking(ScriptedCompleter(), calls, at=at)}
    judge = Breaking(Judging(), calls, "judge", at)
    return await evaluate(simulated_config(), out, completers, HashEmbedder(), judge=judge, resume=resume)


def written(folder: Path) -> Mapping[str, list[str]]:
    """All files; what is appended while several calls run has no order."""
    files = {str(path.relative_to(folder)): path.read_text().splitlines() for path in folder.rglob("*.*")}
    return {name: sorted(text) if "replies" in name else text for name, text in files.items() if text}


async def test_an_interrupted_evaluation_goes_on_to_the_same_files(tmp_path: Path) -> None:
    calls: list[str] = []
    found = await run(tmp_path / "whole", calls)
    assert set(calls) == {"extractor", "manager", "answerer", "judge"}
    # The middle of each stage, in the first conversation and in the last.
    stages = [[place for place, one in enumerate(calls) if one == name] for name in dict.fromkeys(calls)]
    for stop in {places[len(places) // 4] for places in stages} | {places[-2] for places in stages}:
        out = tmp_path / str(stop)
        with pytest.raises(Interrupted):
            await run(out, [], stop)
        for path in sorted((out / "replies").iterdir())[:1]:
            path.write_text(path.read_text() + '{"prompt": "cut sho')
        again: list[str] = []
        assert await run(out, again, resume=True) == found
        assert Counter(calls).total() - stop <= len(again) <= Counter(calls).total() - stop + 16
        assert written(out) == written(tmp_path / "whole")
    nothing: list[str] = []
    await run(tmp_path / "whole", nothing, resume=True)
    assert nothing == []
    other = simulated_config().model_copy(update={"judge": Judge(model="another", runs=2)})
    completers, judge = {"base": Breaking(ScriptedCompleter(), nothing)}, Breaking(Judging(), nothing, "judge")
    await evaluate(other, tmp_path / "whole", completers, HashEmbedder(), judge=judge, resume=True)
    assert Counter(nothing) == {"judge": calls.count("judge")}


async def test_the_end_of_a_run_on_the_simulator(tmp_path: Path) -> None:
    config = simulated_config().model_copy(update={"plots": True})
    out = tmp_path / "out"
    found = await evaluate(config, out, {"base": ScriptedCompleter()}, HashEmbedder(), judge=Judging())
    group = found.systems[AGENTS].groups["all"]
    assert group.questions == sum(group.losses.values()) > 0
    assert group.judged["lenient"].deviation == 0.0
    assert found.operations["base"] == found.operations["add-all"]
    add = found.operations["base"].kinds["ADD"]
    assert add.recall == 1.0
    assert add.precision == found.operations["base"].accuracy
    text = (out / "results.md").read_text()
    assert all(
        f"## {title}\n" in text for title in ("Answers", "Differences", "Evidence recall", "Where questions were lost")
    )
    assert "ONLY the first 14 turns and 4 questions" in text
    assert "printed by Memory-R1" not in text
    assert Results.model_validate_json((out / "results.json").read_text()) == found
    for name in ("f1_by_category.png", "losses.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


# The sets


def test_right_banks_decide_what_evidence_is_on_the_simulator() -> None:
    found = exam.read(a_config(SimulatorData(seed=5, count=2)))
    for conversation in found.conversations:
        kept = {turn for memory in oracle_bank(found.simulated[conversation.id]) for turn in memory.sources}
        assert all(kept.issuperset(question.evidence) for question in conversation.questions)
        assert all(question.is_unanswerable for question in conversation.adversarial)
        assert conversation.adversarial
    assert not found.is_locomo
    assert found.note == "simulator, split validation, seed 5, 2 conversations"


def test_the_real_file_gives_the_papers_validation_split() -> None:
    path = Path(os.environ.get("MEMORY_R1_LOCOMO", ""))
    if not path.is_file():
        pytest.skip("set MEMORY_R1_LOCOMO to LoCoMo's JSON file (CC BY-NC, not kept here) to run this")
    found = exam.read(a_config(LocomoData(file=path, part=Part.VALIDATION)))
    (conversation,) = found.conversations
    assert (conversation.id, len(conversation.questions)) == ("conv-30", 81)
    assert len(conversation.adversarial) > 0
    assert not found.is_papers_test
    cut = exam.read(a_config(LocomoData(file=path, part=Part.VALIDATION), limits=Limits(turns=20), adversarial=False))
    heard = {turn.id for turn in cut.conversations[0].turns}
    assert len(heard) == 20
    assert all(heard.issuperset(question.evidence) for question in cut.conversations[0].questions)
    assert not cut.conversations[0].adversarial


# What is refused


async def test_a_folder_of_another_evaluation_is_refused(tmp_path: Path) -> None:
    data = LocomoData(file=a_locomo_file(tmp_path), conversations=("conv-1",))
    out, given = tmp_path / "out", {"base": scripted(), "more": scripted()}
    await evaluate(a_config(data), out, given, HashEmbedder())
    with pytest.raises(NotResumable, match="already"):
        await evaluate(a_config(data), out, given, HashEmbedder())
    for other, what in (
        (a_config(data, rules=Rules(answerer=AnswererOptions(candidates=7))), "rules"),
        (a_config(data, limits=Limits(turns=2)), "limits"),
        (a_config(data).model_copy(update={"policies": {"base": "another adapter"}}), "policy base"),
    ):
        with pytest.raises(NotResumable, match=f"another one: {what} differ"):
            await evaluate(other, out, given, HashEmbedder(), resume=True)
    with pytest.raises(NotResumable, match="embedder"):
        await evaluate(a_config(data), out, given, HashEmbedder("other"), resume=True)
    # A system and a policy may come in addition; the old replies serve.
    more = a_config(data).model_copy(
        update={
            "policies": {"base": "scripted", "more": "scripted"},
            "systems": standard_systems(Team(extractor="base", manager="base", answerer="more")),
        }
    )
    asked = scripted()
    await evaluate(more, out, {"base": asked, "more": scripted()}, HashEmbedder(), resume=True)
    assert asked.prompts == []


async def test_what_is_missing_is_said_before_anything_runs(tmp_path: Path) -> None:
    data = LocomoData(file=a_locomo_file(tmp_path), conversations=("conv-1",))
    with pytest.raises(UnfitConfiguration, match="No model is given for base"):
        await evaluate(a_config(data), tmp_path / "out", {}, HashEmbedder())
    with pytest.raises(UnfitConfiguration, match="judge"):
        judged = a_config(data, judge=Judge(model="j"))
        await evaluate(judged, tmp_path / "out", {"base": scripted()}, HashEmbedder())
    empty = json.loads(data.file.read_text())
    data.file.write_text(json.dumps([empty[0] | {"qa": []}]))
    with pytest.raises(UnfitConfiguration, match="no question"):
        await evaluate(a_config(data), tmp_path / "out", {"base": scripted()}, HashEmbedder())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"systems": [{"kind": "bm25", "answerer": "stranger"}]}, "stranger"),
        ({"systems": [{"kind": "bm25", "answerer": "base"}] * 2}, "given twice: bm25.base"),
        ({"systems": [{"kind": "agents", "answerer": "base"}]}, "an extractor and a manager belong to agents"),
        ({"systems": [{"kind": "bm25", "answerer": "base", "manager": "base"}]}, "belong to agents"),
        ({"systems": [{"kind": "oracle_bank", "answerer": "base"}]}, "simulated conversations alone"),
        ({"systems": []}, "at least 1"),
        ({"reference": "nobody"}, "the reference nobody is none of"),
        ({"data": {"kind": "locomo", "file": "f"}}, "either a part of the split"),
        ({"policies": {"../up": "x"}}, "pattern"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(change: dict[str, Any], why: str) -> None:
    sound = {
        "data": {"kind": "locomo", "file": "f", "conversations": ["conv-1"]},
        "policies": {"base": "scripted"},
        "systems": [{"kind": "bm25", "answerer": "base"}],
    }
    assert EvalConfig.model_validate(sound)
    with pytest.raises(ValidationError, match=re.escape(why)):
        EvalConfig.model_validate(sound | change)
