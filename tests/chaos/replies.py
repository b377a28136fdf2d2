"""What the scripted model says: well, or lying in ways that the service has to refuse."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from app.core.values import Prompt, Role
from tests.fixtures.doubles import decisions, every_sentence, first_memory, question_of

MARKER = re.compile(r"\bK\d\dT\d{5}\b")
"""The word of a turn that no other turn introduces."""
MERGE_CHARACTERS = 300
Operations = list[dict[str, Any]]
Shown = list[tuple[str, str]]


def said_well(prompt: Prompt, draw: random.Random) -> str:
    """A reply that a good model could give."""
    match prompt.role:
        case Role.EXTRACTOR:
            return every_sentence(prompt)
        case Role.ANSWERER:
            return first_memory(prompt)
        case Role.MANAGER:
            shown = shown_memories(prompt)
            return decisions(prompt, lambda fact: well_decided(fact, shown, draw))


def told_lies(prompt: Prompt, draw: random.Random) -> str:
    """A reply of the right form that says what is not so."""
    match prompt.role:
        case Role.EXTRACTOR:
            facts: Operations = json.loads(every_sentence(prompt))["facts"]
            invented = {"who": facts[0]["who"] if facts else "Nobody", "what": "met Zebulon in Ulaanbaatar in 1871."}
            return json.dumps({"facts": [*facts, invented]})
        case Role.ANSWERER:
            return json.dumps({"memories": [], "answer": "Zebulon, in 1871."})
        case Role.MANAGER:
            shown = shown_memories(prompt)
            lie = draw.choice([_wrong_delete, _lossy_update, _invented_update, _twice])
            return decisions(prompt, lambda fact: lie(fact, shown, draw))


def off_schema(prompt: Prompt, draw: random.Random) -> str:
    """JSON that is not what was asked for."""
    foreign = decisions(prompt, lambda fact: [{"op": "UPDATE", "memory": "m999", "text": fact}])
    unknown = decisions(prompt, lambda fact: [{"op": "FORGET"}])
    # A manager's reply without any fact of the prompt, or about a memory that was not shown.
    return draw.choice(['{"facts": "none"}', "[1, 2]", '{"memories": "m1", "answer": 7}', foreign, unknown])


def shown_memories(prompt: Prompt) -> Shown:
    """Names and texts of the memories that a manager's prompt shows."""
    return re.findall(r"^(m\d+) \([^)]*\): (.*)$", question_of(prompt).partition("New facts")[0], re.MULTILINE)


def well_decided(fact: str, shown: Shown, draw: random.Random) -> Operations:
    """Facts with a marker are always kept; the others may be ignored."""
    markers = MARKER.findall(fact)
    if not markers:
        return [{"op": draw.choice(["ADD", "NOOP"])}]
    old = [(name, text) for name, text in shown if " sold " in fact and markers[0] in text]
    if old:
        name, _ = old[0]
        removal, addition = {"op": "DELETE", "memory": name}, {"op": "ADD"}
        return draw.choice([[removal, addition], [{"op": "UPDATE", "memory": name, "text": fact}], [addition]])
    short = [(name, text) for name, text in shown if len(text) + len(fact) < MERGE_CHARACTERS]
    if short and draw.random() < 0.25:
        name, text = short[0]
        return [{"op": "UPDATE", "memory": name, "text": f"{text} {fact}"}]
    return [{"op": "ADD"}]


def _any(shown: Shown, draw: random.Random) -> str:
    return draw.choice(shown)[0] if shown else "m1"


def _wrong_delete(fact: str, shown: Shown, draw: random.Random) -> Operations:
    return [{"op": "DELETE", "memory": _any(shown, draw)}]


def _lossy_update(fact: str, shown: Shown, draw: random.Random) -> Operations:
    return [{"op": "UPDATE", "memory": _any(shown, draw), "text": " ".join(fact.split()[:3])}]


def _invented_update(fact: str, shown: Shown, draw: random.Random) -> Operations:
    return [{"op": "UPDATE", "memory": _any(shown, draw), "text": f"{fact} Zebulon was there in 1871."}]


def _twice(fact: str, shown: Shown, draw: random.Random) -> Operations:
    named = _any(shown, draw)
    return [{"op": "DELETE", "memory": named}, {"op": "UPDATE", "memory": named, "text": fact}]
