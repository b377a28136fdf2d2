"""Rows from LoCoMo: manager episodes with the questions that hang on them, questions with what a bank holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.core.errors import ModelUnreachable, ReplyCutOff
from app.core.operations import OperationKind
from app.core.values import Completion, Prompt, Role
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from training import runs, sources, tasks
from training.config import CONFIGS, Asking, load
from training.data import locomo
from training.data.locomo import Loaded, Part
from training.engine import UnfitConfiguration
from training.episode import Rules
from training.evaluation.journal import NoReply, RecordingCompleter
from training.overrides import configured
from training.rewards import PRESETS, RewardConfig, Term
from training.runs import ADDING_COMPARED, UNANSWERABLE_COMPARED, reward_of
from training.sources import Agents, Source
from training.tasks import EPISODE

TURNS = 60
"""Of conv-26, which has 419: enough for three sessions."""
asking = Asking(small=True)
RULES = Rules.model_validate({role.value: asking.of(role) for role in Role})


@pytest.fixture
def beginning(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real training conversation, cut short."""
    named = os.environ.get("MEMORY_R1_LOCOMO")
    if not named:
        pytest.skip("MEMORY_R1_LOCOMO names no LoCoMo file: it is CC BY-NC and is not shipped")
    whole = locomo.load(named, Part.TRAIN)
    first = whole.conversations[0]
    turns = first.turns[:TURNS]
    heard = {turn.id for turn in turns}
    asked = tuple(one for one in first.questions if one.evidence and set(one.evidence) <= heard)
    short = first.model_copy(update={"turns": turns, "questions": asked})
    loaded = whole.model_copy(update={"conversations": (short,)})

    def load(path: Path, part: Part) -> Loaded:
        return loaded

    monkeypatch.setattr(locomo, "load", load)
    return Path(named)


def agents(folder: Path, completer: ScriptedCompleter) -> Agents:
    recorded = RecordingCompleter(folder / "replies.jsonl", completer)
    return Agents(HashEmbedder(), RULES, recorded, recorded)


def test_a_managers_rows_of_the_real_conversation(beginning: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    source = Source(kind="locomo", file=beginning)
    built = sources.build(Role.MANAGER, source, agents(tmp_path, ScriptedCompleter()), lambda *at: seen.append(at))
    assert seen[-1] == (TURNS, TURNS)
    before = len(built.rows)
    sources.only_with_questions(built, PRESETS["paper"])
    assert 0 < len(built.rows) < before
    assert built.left_out[sources.NO_QUESTION] == before - len(built.rows)
    for row in built.rows:
        episode = row.columns[EPISODE]
        assert all(episode.turn.id in question.evidence for question in episode.questions)
        assert row.prompt == episode.prompt.messages and row.target is None
    record = built.record(source)
    assert (record.rows, record.conversations, record.seed) == (len(built.rows), ("conv-26",), None)
    assert record.licence.startswith("CC BY-NC")
    again = sources.build(Role.MANAGER, source, agents(tmp_path, _Silent()), lambda *at: None)
    sources.only_with_questions(again, PRESETS["paper"])
    assert again.record(source).sha256 == record.sha256, "what was asked before is not asked again"


def test_the_extractor_keeps_turns_that_hold_nothing(tmp_path: Path) -> None:
    source = Source(kind="simulator", seed=3, conversations=1)
    built = sources.build(Role.EXTRACTOR, source, agents(tmp_path, ScriptedCompleter()), lambda *at: None)
    told = [row.columns[EPISODE] for row in built.rows]
    sources.only_with_questions(built, PRESETS["small"])
    kept = [row.columns[EPISODE] for row in built.rows]
    assert built.left_out[sources.NO_QUESTION] == sum(bool(one.right) and not one.questions for one in told) > 0
    assert sum(not one.right for one in kept) == sum(not one.right for one in told) > 5


def test_an_answerers_rows_of_the_real_conversation(beginning: Path, tmp_path: Path) -> None:
    source = Source(kind="locomo", file=beginning)
    built = sources.build(Role.ANSWERER, source, agents(tmp_path, ScriptedCompleter()), lambda *at: None)
    assert len(built.rows) > 10
    assert all(row.columns[EPISODE].candidates and row.columns[EPISODE].question.answer for row in built.rows)
    sources.only_with_targets(built)
    assert built.rows and built.left_out[sources.NO_TARGET] > 0


class _Silent(ScriptedCompleter):
    async def complete(self, prompt: Prompt) -> Completion:
        raise AssertionError("it was asked")


def test_a_turn_that_the_extractor_cannot_read_is_counted(beginning: Path, tmp_path: Path) -> None:
    class Failing(ScriptedCompleter):
        error: Exception = ReplyCutOff()

        async def complete(self, prompt: Prompt) -> Completion:
            if prompt.role is Role.EXTRACTOR and self.calls(Role.EXTRACTOR) == 3:
                self.prompts.append(prompt)
                raise self.error
            return await super().complete(prompt)

    source, failing = Source(kind="locomo", file=beginning), Failing()
    built = sources.build(Role.ANSWERER, source, agents(tmp_path, failing), lambda *at: None)
    assert built.left_out["the extractor failed"] == 1
    gone = Failing()
    gone.error = ModelUnreachable("gone")
    with pytest.raises(NoReply, match="gone"):
        sources.build(Role.ANSWERER, source, agents(tmp_path / "other", gone), lambda *at: None)


def test_the_extractor_does_not_learn_from_locomo(tmp_path: Path) -> None:
    with pytest.raises(UnfitConfiguration, match="simulator"):
        sources.build(Role.EXTRACTOR, Source(kind="locomo"), agents(tmp_path, ScriptedCompleter()), lambda *at: None)


def test_a_reward_has_the_terms_of_its_role_and_method() -> None:
    assert reward_of("small", Role.MANAGER, "grpo") == PRESETS["small"]
    assert {term.value for term in reward_of("small", Role.ANSWERER, "ppo").weights} == {"token_f1", "validity"}
    assert set(PRESETS["small"].weights) - set(reward_of("small", Role.EXTRACTOR, "grpo").weights) == {Term.KEPT}
    of_logo = reward_of("small", Role.MANAGER, "logo").weights
    assert set(PRESETS["small"].weights) - set(of_logo) == {Term.KEPT, Term.TURN_GROWTH}


def test_a_reward_may_be_the_weights_of_terms() -> None:
    chosen = configured("small_cpu", ["reward={token_f1=1.0,turn_growth=-0.5}"]).reward
    weights = {Term.TOKEN_F1: 1.0, Term.TURN_GROWTH: -0.5}
    assert reward_of(chosen, Role.MANAGER, "grpo") == RewardConfig(weights=weights)


@pytest.mark.parametrize(
    ("chosen", "role", "method", "said"),
    [
        ("mine", Role.MANAGER, "grpo", "no reward 'mine'; there are paper, small"),
        ({"f1": 1.0}, Role.MANAGER, "grpo", "No f1 can be rewarded here; there are bank_growth, exact_match, kept"),
        ({"kept": 1.0, "token_f1": 1.0}, Role.EXTRACTOR, "ppo", "No kept can"),
        ({"turn_growth": -1.0}, Role.MANAGER, "logo", "No turn_growth can"),
        ({}, Role.ANSWERER, "grpo", "the weight of a term; there are exact_match, token_f1, validity"),
    ],
)
def test_a_reward_that_cannot_be_had_is_refused(
    chosen: str | dict[str, float], role: Role, method: runs.Method, said: str
) -> None:
    with pytest.raises(UnfitConfiguration, match=said):
        reward_of(chosen, role, method)


def test_where_replies_are_compared_few_turns_only_add(tmp_path: Path) -> None:
    def of_adds_alone(adding: float) -> int:
        source = Source(kind="simulator", seed=4, conversations=3, adding=adding)
        built = sources.build(Role.MANAGER, source, agents(tmp_path, ScriptedCompleter()), lambda *at: None)
        right = [row.columns[EPISODE].right for row in built.rows]
        return sum(all(operation.kind is OperationKind.ADD for operation in one) for one in right)

    assert 0 < of_adds_alone(ADDING_COMPARED) < 0.5 * of_adds_alone(tasks.ADDING)


def test_where_replies_are_compared_all_that_was_never_told_is_asked(tmp_path: Path) -> None:
    def never_told(unanswerable: float | None) -> int:
        source = Source(kind="simulator", seed=4, conversations=3, unanswerable=unanswerable)
        built = sources.build(Role.ANSWERER, source, agents(tmp_path, ScriptedCompleter()), lambda *at: None)
        return sum(row.columns[EPISODE].question.is_unanswerable for row in built.rows)

    assert never_told(UNANSWERABLE_COMPARED) > 2 * never_told(tasks.UNANSWERABLE) > 0
    assert never_told(None) == never_told(tasks.UNANSWERABLE)
    assert never_told(0.0) == 0


@pytest.mark.parametrize(
    ("method", "chosen", "share"), [("sft", None, None), ("grpo", None, UNANSWERABLE_COMPARED), ("ppo", 0.4, 0.4)]
)
def test_who_trains_may_choose_the_share_of_what_was_never_told(
    method: runs.Method, chosen: float | None, share: float | None
) -> None:
    source = Source(kind="simulator", unanswerable=chosen)
    run = runs.Run(role=Role.ANSWERER, method=method, config=load(CONFIGS / "small_cpu.toml"), source=source,
                   out=Path("nowhere"))  # fmt: skip
    assert runs.source_of(run).unanswerable == share
