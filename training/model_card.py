"""The README of an exported policy, in the form of the model hub's cards; everything in it comes from the stamp."""

from __future__ import annotations

import json

from app.core.policies import THEN, Data, Measured, PolicyStamp, Score

_ROLES = {
    "extractor": "reads facts out of a turn of a dialogue",
    "manager": "decides for each new fact: ADD, UPDATE, DELETE or NOOP",
    "answerer": "chooses the memories that matter to a question, and answers from them",
}


def model_card(stamp: PolicyStamp) -> str:
    """Markdown with a YAML head."""
    sections = [
        _head(stamp),
        f"# {stamp.name}\n\nA policy of Memory-R1 for the role `{stamp.role.value}`: it {_ROLES[stamp.role.value]}. "
        f"It was made from `{stamp.base.name}` and replies as `{stamp.label}`.",
        "## What it is\n\n" + _facts(stamp),
        "## Data\n\n" + ("\n".join(map(_data, stamp.data)) or "Not told."),
        "## Scores\n\n" + (_scores(stamp.scores) if stamp.scores else "Not measured."),
        "## Limits\n\n" + ("\n".join(f"- {limit}" for limit in stamp.limits) or "Not told."),
        "## How it is asked\n\nWith the prompt `"
        + stamp.prompt.version
        + "` and these options; a service that asks with another text is refused.\n\n"
        + _block(stamp.prompt.options),
        "## Configuration\n\n" + (_configuration(stamp) if stamp.config else "Not told."),
    ]
    return "\n\n".join(sections) + "\n"


def _head(stamp: PolicyStamp) -> str:
    lines = [f"license: {json.dumps(stamp.licence.lower())}", f"base_model: {json.dumps(stamp.base.name)}"]
    lines += [f"library_name: {'peft' if stamp.form == 'adapter' else 'transformers'}", "tags: [memory-r1]"]
    return "\n".join(["---", *lines, "---"])


def _facts(stamp: PolicyStamp) -> str:
    rows = {
        "form": "LoRA adapter" if stamp.form == "adapter" else "whole model, merged",
        "base": stamp.base.name + (f", sha256 {stamp.base.sha256}" if stamp.base.sha256 else ""),
        "weights": f"sha256 {stamp.weights_sha256}",
        "method": stamp.method,
        "steps": str(stamp.steps),
        "seeds": ", ".join(map(str, stamp.seeds)) or "not told",
        "code": stamp.git_revision or "not told",
        "made": f"{stamp.created:%Y-%m-%d}",
        "licence": stamp.licence,
    }
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows.items())


def _data(data: Data) -> str:
    seeds = f", seeds {', '.join(map(str, data.seeds))}" if data.seeds else ""
    note = f" {data.note}" if data.note else ""
    return f"- {data.source}, {data.split}{seeds} ({data.licence}).{note}"


def _scores(scores: tuple[Score, ...]) -> str:
    head = "On data that no weight was trained on.\n\n| measure | data | before | after |\n|---|---|---|---|\n"
    return head + "\n".join(
        f"| {_cell(one.measure)} | {_cell(one.data)} | {_value(one.before)} | {_value(one.after)} |" for one in scores
    )


def _value(measured: Measured | None) -> str:
    if measured is None:
        return ""
    has_interval = measured.low is not None and measured.high is not None
    return f"{measured.value:.4g}" + (f" ({measured.low:.4g} to {measured.high:.4g})" if has_interval else "")


def _configuration(stamp: PolicyStamp) -> str:
    """How it learned last: what is told of a run by its record, or its bare configuration."""
    config = stamp.config.get("config", stamp.config)
    method = stamp.method.rpartition(THEN)[2]
    last = {name: config[name] for name in ("rollout", method) if name in config}
    reward = {"reward": stamp.config["reward"]} if stamp.config.get("reward") else {}
    whole = (
        "The whole configuration of each run, the code that it ran and the versions of packages are in `policy.json`."
    )
    return f"{whole} How it learned last:\n\n{_block(last | reward)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _block(data: object) -> str:
    return f"```json\n{json.dumps(data, indent=2)}\n```"
