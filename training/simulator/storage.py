"""Simulated conversations as JSON lines, and as text to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from app.core.operations import OperationKind
from app.core.rendering import day
from training.simulator.oracle import oracle_bank
from training.simulator.values import SimulatedConversation, SimulatedTurn


def write_jsonl(path: Path | str, conversations: Iterable[SimulatedConversation]) -> int:
    """Write one conversation a line; how many there were."""
    count = 0
    with Path(path).open("w", encoding="utf-8") as file:
        for conversation in conversations:
            file.write(conversation.model_dump_json() + "\n")
            count += 1
    return count


def read_jsonl(path: Path | str) -> Iterator[SimulatedConversation]:
    """The conversations of a file, one at a time; raises a pydantic `ValidationError` for a line of another form."""
    with Path(path).open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield SimulatedConversation.model_validate_json(line)


def as_text(conversation: SimulatedConversation) -> str:
    """The dialogue with its right operations, the bank at the end, and what may be asked then."""
    lines = [f"{conversation.id}: {' and '.join(conversation.speakers)}"]
    session = None
    for one in conversation.turns:
        if one.turn.session != session:
            session = one.turn.session
            lines.append(f"\nSession {session}, {day(one.turn.said_at)}")
        lines += _turn_lines(one)
    lines.append("\nBank at the end")
    lines += [f"  {memory.text}" for memory in oracle_bank(conversation)]
    lines.append("\nQuestions at the end")
    names = {one.turn.id: one.turn.external_id for one in conversation.turns}
    for question in conversation.questions_after(len(conversation.turns)):
        evidence = ", ".join(str(names[turn]) for turn in question.evidence)
        lines.append(f"  {question.text} -> {question.answer or '(abstain)'} [{question.category}; {evidence}]")
    return "\n".join(lines)


def _turn_lines(one: SimulatedTurn) -> Iterator[str]:
    yield f"{one.turn.external_id} {one.turn.speaker}: {one.turn.text}"
    for operation in one.operations:
        yield f"    fact: {one.facts[operation.fact - 1].text}"
        yield f"    {operation.kind.value}{f' -> {operation.text}' if operation.text else ''}"


def statistics(conversations: Iterable[SimulatedConversation]) -> str:
    """Counts over conversations, as lines."""
    counts: Counter[str] = Counter()
    kinds: Counter[OperationKind] = Counter()
    asked: Counter[str] = Counter()
    for conversation in conversations:
        at_end = conversation.questions_after(len(conversation.turns))
        counts.update(
            conversations=1,
            turns=len(conversation.turns),
            told=sum(bool(one.facts) for one in conversation.turns),
            facts=sum(len(one.facts) for one in conversation.turns),
            memories=len(oracle_bank(conversation)),
            questions=len(conversation.questions),
            at_end=len(at_end),
        )
        kinds.update(operation.kind for one in conversation.turns for operation in one.operations)
        asked.update(question.category.partition("?")[2] if question.answer else "abstain" for question in at_end)
    return "\n".join(_statistics_lines(counts, kinds, asked))


def _statistics_lines(counts: Counter[str], kinds: Counter[OperationKind], asked: Counter[str]) -> Iterator[str]:
    number = max(1, counts["conversations"])
    yield f"{counts['conversations']} conversations, {counts['turns']} turns ({counts['turns'] / number:.1f} each)"
    told = counts["told"] / max(1, counts["turns"])
    yield f"{counts['facts']} facts in {counts['told']} turns; {1 - told:.0%} of the turns hold none"
    total = max(1, kinds.total())
    yield "operations: " + ", ".join(f"{kind.value} {kinds[kind] / total:.0%}" for kind in OperationKind)
    yield f"memories at the end: {counts['memories'] / number:.1f} each"
    yield f"questions: {counts['questions'] / number:.1f} each, {counts['at_end'] / number:.1f} of them at the end"
    yield "at the end: " + ", ".join(f"{kind} {count}" for kind, count in asked.most_common())
