"""Measure a running service on one LoCoMo conversation: evidence recall, answer scores, calls, tokens, time.

    memory-r1 ingest --locomo FILE --conversation conv-26
    python -m tests.bench.locomo --file FILE --conversation conv-26 --out answers.jsonl

Answers are kept as JSON lines: an interrupted run goes on where it stopped, and scores can be computed again.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from app.client import Client
from app.core import locomo, scoring
from app.core.locomo import Category, Conversation, Question
from training.evaluation.markdown import mean, table
from training.evaluation.turns import RECALL_AT

Ranked = list[list[str]]
"""External ids of each retrieved memory's source turns, best memory first."""


def main() -> None:
    arguments = _arguments()
    conversation = locomo.load(arguments.file, arguments.conversation)
    bank = arguments.bank or conversation.id
    questions = [q for q in conversation.questions if q.category is not Category.ADVERSARIAL]
    with Client(arguments.url) as client:
        answers = ask_all(client, bank, questions, arguments.out, arguments.concurrency)
        recalls = {
            mode: recall_all(client, bank, questions, lexical=mode == "dense + lexical")
            for mode in ("dense + lexical", "dense alone")
        }
        recalls["whatever is in the bank"] = [[list(_external_ids(client, bank).values())]] * len(questions)
        turns = read_turns(client, bank)
    print(report(conversation, questions, answers, recalls, turns))


def ask_all(
    client: Client, bank: str, questions: Sequence[Question], out: Path, concurrency: int
) -> list[dict[str, Any]]:
    """The answers to all questions, in order; those in `out` are not asked again."""
    known = {a["question"]: a for a in map(json.loads, out.read_text().splitlines())} if out.exists() else {}
    missing = [question for question in questions if question.text not in known]

    def ask(question: Question) -> dict[str, Any]:
        started = time.perf_counter()
        answer = client.answer(bank, question.text)
        return {**answer, "wall": time.perf_counter() - started}

    with ThreadPoolExecutor(concurrency) as pool, out.open("a") as file:
        for done, answer in enumerate(pool.map(ask, missing), start=1):
            known[answer["question"]] = answer
            file.write(json.dumps(answer) + "\n")
            file.flush()
            print(f"\r{done} of {len(missing)} questions", end="", flush=True)
    print()
    return [known[question.text] for question in questions]


def recall_all(client: Client, bank: str, questions: Sequence[Question], *, lexical: bool) -> list[Ranked]:
    """What is retrieved for each question, in the way of `/answer`."""
    turn_names = _external_ids(client, bank)
    found = []
    for question in questions:
        candidates = client.search(bank, question.text, limit=60, lexical=lexical, per_speaker=True)
        found.append([[turn_names[i] for i in c["memory"]["sources"] if i in turn_names] for c in candidates])
    return found


def _external_ids(client: Client, bank: str) -> dict[str, str]:
    """External ids by turn id, gathered from the memories' sources."""
    names: dict[str, str] = {}
    for memory in client.memories(bank):
        if any(i not in names for i in memory["sources"]):
            detail = client.memory(bank, memory["id"])
            names |= {turn["id"]: turn["external_id"] for turn in detail["sources"]}
    return names


def read_turns(client: Client, bank: str) -> list[dict[str, Any]]:
    """What became of each turn of the bank."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = client.turns(bank, cursor)
        found += page["turns"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def report(
    conversation: Conversation,
    questions: Sequence[Question],
    answers: Sequence[dict[str, Any]],
    recalls: dict[str, list[Ranked]],
    turns: Sequence[dict[str, Any]],
) -> str:
    """Everything as Markdown."""
    return "\n\n".join(
        (
            f"{conversation.id}: {len(turns)} turns, {len(questions)} questions (categories 1 to 4); "
            f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}",
            _turn_table(turns),
            _recall_table(questions, recalls),
            _answer_table(questions, answers),
            _cost_table(answers),
        )
    )


def _turn_table(turns: Sequence[dict[str, Any]]) -> str:
    states = Counter(turn["state"] for turn in turns)
    kinds = Counter((o["kind"], o["verdict"]) for turn in turns for o in turn["operations"])
    fallback = sum(o["fallback"] for turn in turns for o in turn["operations"])
    calls = [turn["calls"] for turn in turns]
    facts = sum(len(turn["facts"]) for turn in turns)
    rejected = sum(len(turn["rejected_facts"]) for turn in turns)
    rows: list[tuple[str, object]] = [
        ("turns by state", ", ".join(f"{state} {count}" for state, count in sorted(states.items()))),
        ("facts kept / rejected as ungrounded", f"{facts} / {rejected}"),
        ("operations", ", ".join(f"{k} {v} {count}" for (k, v), count in sorted(kinds.items()))),
        ("added because every operation was refused", fallback),
        ("model calls a turn", _spread([len(made) for made in calls])),
        ("prompt tokens a turn", _spread([sum(c["usage"]["prompt_tokens"] for c in made) for made in calls])),
        ("completion tokens a turn", _spread([sum(c["usage"]["completion_tokens"] for c in made) for made in calls])),
        ("model seconds a turn", _spread([sum(c["seconds"] for c in made) for made in calls])),
    ]
    errors = Counter(turn["error"]["type"] for turn in turns if turn["error"])
    if errors:
        rows.append(("errors", ", ".join(f"{kind} {count}" for kind, count in errors.items())))
    return table(("turns", ""), rows)


def _recall_table(questions: Sequence[Question], recalls: dict[str, list[Ranked]]) -> str:
    rows = []
    for mode, found in recalls.items():
        cells = []
        for limit in RECALL_AT:
            values = [
                scoring.evidence_recall(question.evidence, {i for names in ranked[:limit] for i in names})
                for question, ranked in zip(questions, found, strict=True)
            ]
            cells.append(mean(value for value in values if value is not None))
        rows.append((mode, *cells))
    return table(("evidence recall", *(f"@{limit}" for limit in RECALL_AT)), rows)


def _answer_table(questions: Sequence[Question], answers: Sequence[dict[str, Any]]) -> str:
    scored = [
        (question.category, answer, scoring.score(answer["answer"] or "", question.answer, question.category))
        for question, answer in zip(questions, answers, strict=True)
    ]
    names = list(scoring.Scores.model_fields)
    rows = []
    for label, chosen in _by_category(scored):
        abstained = sum(answer["abstained"] for _, answer, _ in chosen)
        rows.append((label, len(chosen), abstained, *(mean(getattr(s, n) for _, _, s in chosen) for n in names)))
    return table(("questions", "n", "abstained", *names), rows)


def _by_category(scored: list[Any]) -> Iterable[tuple[str, list[Any]]]:
    for category in Category:
        chosen = [row for row in scored if row[0] is category]
        if chosen:
            yield f"{category.value} {category.true_name}", chosen
    yield "all", scored


def _cost_table(answers: Sequence[dict[str, Any]]) -> str:
    called = [answer for answer in answers if answer["policy"]]
    measures: list[tuple[str, Callable[[dict[str, Any]], float]]] = [
        ("prompt tokens a question", lambda a: a["usage"]["prompt_tokens"]),
        ("completion tokens a question", lambda a: a["usage"]["completion_tokens"]),
        ("model seconds a question", lambda a: a["timings"]["model"]),
        ("recall seconds a question", lambda a: a["timings"]["recall"]),
        ("candidates a question", lambda a: len(a["candidates"])),
    ]
    rows: list[tuple[str, object]] = [("model calls a question", f"{len(called) / max(1, len(answers)):.2f}")]
    rows += [(name, _spread([measure(a) for a in called])) for name, measure in measures]
    return table(("cost", ""), rows)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return f"mean {statistics.fmean(ordered):.2f}, median {statistics.median(ordered):.2f}, p95 {p95:.2f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, required=True, help="LoCoMo in its upstream form")
    parser.add_argument("--conversation", default="conv-26")
    parser.add_argument("--bank", help="the conversation's id if left out")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--out", type=Path, required=True, help="where answers are kept, as JSON lines")
    parser.add_argument("--concurrency", type=int, default=4)
    return parser.parse_args()


if __name__ == "__main__":
    main()
