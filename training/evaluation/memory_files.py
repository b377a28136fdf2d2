"""What the agents read and remembered, as files to look into."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from app.core.agents import run
from app.core.agents.extractor import ExtractorOptions
from app.core.ports import Completer
from training.data.conversation import Conversation
from training.episode import HeardTurn, context_of
from training.evaluation.journal import NoReply, write_whole
from training.evaluation.systems import Heard


async def write_facts(
    path: Path, conversations: Sequence[Conversation], completer: Completer, options: ExtractorOptions
) -> None:
    """A line for each turn, from replies that were recorded already: facts, rejected facts, or why there are none."""
    lines = []
    for conversation in conversations:
        for place, turn in enumerate(conversation.turns):
            line: dict[str, Any] = {"conversation": conversation.id, "turn": turn.external_id or str(turn.id)}
            context = context_of(conversation.turns[: place + 1], options)
            try:
                extraction, _ = await run.extract(turn, context, completer, options)
                line |= extraction.model_dump(mode="json")
            except NoReply as error:
                line |= {"failure": error.failure.model_dump()}
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    write_whole(path, "".join(lines))


async def write_bank(path: Path, conversation: Conversation, heard: Heard) -> None:
    """The memories at the end, and for each turn its facts, its operations with those refused, or the failure."""
    names = {turn.id: turn.external_id or str(turn.id) for turn in conversation.turns}
    memories = [
        memory.model_dump(mode="json", exclude={"created_at", "updated_at"})
        | {"sources": [names[source] for source in memory.sources]}
        for memory in await heard.bank.memories()
    ]
    told = [_turn(one, names) for one in heard.turns if one.facts or one.error]
    written = {"conversation": conversation.id, "memories": memories, "turns": told}
    write_whole(path, json.dumps(written, indent=1, ensure_ascii=False) + "\n")


def _turn(heard: HeardTurn, names: Mapping[UUID, str]) -> dict[str, Any]:
    log = [line.model_dump(mode="json", exclude_none=True) for line in heard.plan.log] if heard.plan else []
    failure = {"failure": str(heard.error)} if heard.error else {}
    return {"turn": names[heard.turn.id], "facts": [fact.text for fact in heard.facts], "operations": log} | failure
