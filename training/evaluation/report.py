"""The results as Markdown. All scores in percent, F1 and BLEU-1 by Mem0's conventions where none is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.core.locomo import Category
from app.core.operations import OperationKind
from training.evaluation import paper
from training.evaluation.bootstrap import Estimate
from training.evaluation.losses import Loss
from training.evaluation.markdown import table
from training.evaluation.measures import ALL, METRICS, GroupScores, Results, SystemScores
from training.evaluation.operations import FAILED, UNREADABLE, OperationScores

_INTERVAL = "[95% interval]"


def text(results: Results) -> str:
    """Every table that the evaluation has something for."""
    sections: list[tuple[str, str]] = [
        ("What was measured", _about(results)),
        ("Answers", _main(results)),
        ("By category", _categories(results)),
        ("Every convention", _conventions(results)),
        ("Differences", _differences(results)),
        ("Questions without an answer", _abstention(results)),
        ("Evidence recall", _recall(results)),
        ("Where questions were lost", _losses(results)),
        ("Banks", _banks(results)),
        ("Operations on right banks", _operations(results)),
        ("Cost", _cost(results)),
    ]
    return "# Evaluation\n" + "".join(f"\n## {title}\n\n{body}\n" for title, body in sections if body)


def column(group: str, *, is_locomo: bool) -> str:
    """A category's name; for LoCoMo also the head that Mem0 and Memory-R1 put over it."""
    known = {category.true_name: category for category in Category}
    if not is_locomo or group not in known:
        return group
    return f'{group} ({known[group].value}; Mem0: "{known[group].mem0_name}")'


def _about(results: Results) -> str:
    judge = ", ".join(f"{name} {one}" for name, one in results.judge.items()) or "none"
    versions = sorted({version for system in results.systems.values() for version in system.prompt_versions})
    rows = [
        ("data", results.note),
        *((f"policy {name}", one) for name, one in results.policies.items()),
        ("answer prompt", ", ".join(versions)),
        ("embedder", results.embedder),
        ("judge", judge),
        ("intervals", _resampled(results)),
    ]
    return table(("what", "value"), rows)


def _resampled(results: Results) -> str:
    known = [g.scores["mem0_f1"] for s in results.systems.values() if (g := s.groups.get(ALL))]
    if not known:
        return "none"
    what = f"95%, percentile bootstrap over {known[0].units} {known[0].resampled}"
    if known[0].resampled == "questions":
        return f"{what}: there is ONE conversation, so they say nothing about others"
    return what


def _main(results: Results) -> str:
    rows = []
    for name, system in results.systems.items():
        if group := system.groups.get(ALL):
            rows.append((_named(name, system), group.questions, *_main_cells(group, results)))
    prompts = [prompt for prompt in ("lenient", "strict") if prompt in results.judge]
    head = ["system", "questions", f"F1 {_INTERVAL}", "BLEU-1", "exact match", "F1, dates alike"]
    head += [f"J {prompt} {_INTERVAL} (sd of runs)" for prompt in prompts] + ["abstained", "unreadable", "failed"]
    failed = any(group.failed for s in results.systems.values() for group in s.groups.values())
    note = "\n\nFailed questions score 0. Resume the evaluation to try them again." if failed else ""
    return table(head, rows) + note if rows else ""


def _main_cells(group: GroupScores, results: Results) -> list[object]:
    prompts = [prompt for prompt in ("lenient", "strict") if prompt in results.judge]
    return [
        _with_interval(group.scores["mem0_f1"]),
        _percent(group.scores["mem0_bleu1"].mean),
        _percent(group.scores["exact_match"].mean),
        _percent(group.scores["date_normalised_f1"].mean),
        *(_judged(group, prompt) for prompt in prompts),
        group.abstained,
        group.unreadable,
        group.failed,
    ]


def _named(name: str, system: SystemScores) -> str:
    """The system; where its context was cut, that is said with its name."""
    return f"{name} (cut to fit in {system.cut} questions; {system.shown:.0f} shown)" if system.cut else name


def _judged(group: GroupScores, prompt: str) -> str:
    judged = group.judged[prompt]
    deviation = f" ({100 * judged.deviation:.2f})" if judged.deviation is not None else ""
    missing = f", {judged.without_verdict} without verdict" if judged.without_verdict else ""
    return f"{_with_interval(group.judged_intervals.get(prompt))}{deviation}{missing}"


def _categories(results: Results) -> str:
    names = list(dict.fromkeys(name for system in results.systems.values() for name in system.groups))
    names = [name for name in names if name != ALL] + [ALL]
    lenient = "lenient" in results.judge
    counts = {name: next(s.groups[name].questions for s in results.systems.values() if name in s.groups)
              for name in names if any(name in s.groups for s in results.systems.values())}  # fmt: skip
    if not counts:
        return ""
    head = ["F1 / BLEU-1" + (" / J lenient" if lenient else "")]
    head += [f"{column(name, is_locomo=results.is_locomo)}, n={count}" for name, count in counts.items()]
    rows = [
        [_named(name, system), *(_cells(system.groups.get(group), lenient) for group in counts)]
        for name, system in results.systems.items()
    ]
    return table(head, rows) + (_papers_rows() if results.is_papers_test else "")


def _cells(group: GroupScores | None, lenient: bool) -> str:
    if group is None:
        return "-"
    cells = [_percent(group.scores[metric].mean) for metric in ("mem0_f1", "mem0_bleu1")]
    return " / ".join([*cells, *([_percent(group.judged["lenient"].mean)] if lenient else [])])


def _papers_rows() -> str:
    """Printed by the paper about the same questions, and marked as not measured here."""
    head = ["printed by Memory-R1, F1 / BLEU-1 / J"]
    head += [column(c.true_name, is_locomo=True) if c else "all" for c in paper.ORDER]
    rows = [
        [f"{row.method}, {row.backbone} ({row.source})"]
        + [f"{cell.f1:.2f} / {cell.bleu1:.2f} / {cell.judge:.2f}" for cell in row.cells.values()]
        for row in paper.rows()
    ]
    return f"\n\nNot measured here:\n\n{table(head, rows)}\n\n{paper.KNOWN_SLIP}"


def _conventions(results: Results) -> str:
    return _by_system(results, METRICS, lambda group: [_with_interval(group.scores[metric]) for metric in METRICS])


def _recall(results: Results) -> str:
    groups = [group for system in results.systems.values() if (group := system.groups.get(ALL))]
    names = list(groups[0].recall) if groups else []
    return _by_system(
        results, names, lambda group: [_with_interval(group.recall_intervals.get(name)) for name in names]
    )


def _losses(results: Results) -> str:
    counts = _by_system(results, list(Loss), lambda group: [group.losses[loss] for loss in Loss])
    return f"{counts}\n\nRight: exact match, or F1 of at least {results.right_at:g}." if counts else ""


def _by_system(results: Results, head: Sequence[str], cells: Callable[[GroupScores], Sequence[object]]) -> str:
    rows = [
        [_named(name, system), *cells(group)]
        for name, system in results.systems.items()
        if (group := system.groups.get(ALL))
    ]
    return table(["system", *head], rows) if rows else ""


def _differences(results: Results) -> str:
    """Every system less the reference."""
    rows = []
    for one in results.differences:
        if one.against == results.reference:
            rows.append((one.system, _with_interval(one.f1, sign="+")))
        elif one.system == results.reference:
            rows.append((one.against, _with_interval(_negative(one.f1), sign="+")))
    return (
        table(("system", f"F1 less that of {results.reference} {_INTERVAL}, paired by question"), rows) if rows else ""
    )


def _negative(estimate: Estimate) -> Estimate:
    return estimate.model_copy(update={"mean": -estimate.mean, "low": -estimate.high, "high": -estimate.low})


def _abstention(results: Results) -> str:
    rows = [
        (name, one.questions, _with_interval(one.abstained), one.failed)
        for name, system in results.systems.items()
        if (one := system.abstention).questions and one.abstained
    ]
    if not rows:
        return ""
    found = table(("system", "questions", f"abstained {_INTERVAL}", "failed"), rows)
    return f"{found}\n\nA system that finds nothing for a question abstains without a model, as the service does."


def _banks(results: Results) -> str:
    rows = []
    for name, bank in results.banks.items():
        operations = ", ".join(f"{what} {count}" for what, count in bank.operations.items())
        rows.append((name, bank.turns, bank.failed, bank.facts, bank.memories, bank.fallback, operations or "none"))
    head = ("extractor+manager", "turns", "failed turns", "facts", "memories", "added for want of an operation")
    return table((*head, "operations"), rows) if rows else ""


def _operations(results: Results) -> str:
    if not results.operations:
        return ""
    kinds = [kind.value for kind in OperationKind]
    head = ["manager", "facts", "right operation [95%, Wilson]", *(f"{kind} precision / recall" for kind in kinds)]
    rows = [
        [name, scores.facts, _right_share(scores)]
        + [f"{_percent(scores.kinds[k].precision)} / {_percent(scores.kinds[k].recall)}" for k in kinds]
        + [_percent(scores.update_f1), scores.refused]
        for name, scores in results.operations.items()
    ]
    parts = [table([*head, "F1 of merged texts", "refused"], rows)]
    parts += [f"{name}, facts by the right kind (rows) and the one asked for:\n\n{_confusion(scores)}"
              for name, scores in results.operations.items()]  # fmt: skip
    return "\n\n".join(parts)


def _right_share(scores: OperationScores) -> str:
    interval = scores.accuracy_interval
    return f"{_percent(scores.accuracy)} [{_percent(interval.low)}, {_percent(interval.high)}]"


def _confusion(scores: OperationScores) -> str:
    columns = [*(kind.value for kind in OperationKind), UNREADABLE, FAILED]
    rows = [[right, *(asked[name] for name in columns)] for right, asked in scores.confusion.items()]
    return table(["right", *columns], rows)


def _cost(results: Results) -> str:
    rows = []
    for name, system in results.systems.items():
        cost = system.cost
        each = [f"{amount / cost.calls:.1f}" if cost.calls else "-"
                for amount in (cost.prompt_tokens, cost.completion_tokens, cost.seconds)]  # fmt: skip
        rows.append((name, cost.calls, *each))
    return table(("system", "answers from a model", "prompt tokens each", "reply tokens each", "seconds each"), rows)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _with_interval(estimate: Estimate | None, sign: str = "") -> str:
    if estimate is None:
        return "-"
    mean, low, high = (f"{100 * one:{sign}.2f}" for one in (estimate.mean, estimate.low, estimate.high))
    return f"{mean} [{low}, {high}]"
