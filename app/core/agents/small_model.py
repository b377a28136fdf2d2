"""How a very small model is asked, where nothing else is set: it loses itself in long questions and replies.

The embedded default serves under these options, and its policies are trained under them.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from app.core.agents.answerer import AnswererOptions
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import ManagerOptions

Options = TypeVar("Options", bound=BaseModel)

EXTRACTOR = ExtractorOptions(context_turns=1, max_facts=3, max_fact_characters=120)
# The right decision is known in training, and no right reasoning for it.
MANAGER = ManagerOptions(related=4, max_shown=6, reasoning=False, max_text_characters=200)
# On a processor, reading the prompt is most of an answer's time, and sources make it twice as long.
ANSWERER = AnswererOptions(
    candidates=12, attach_sources=False, max_distilled=3, max_answer_characters=60, max_prompt_characters=6_000
)


def where_unset(options: Options, defaults: Options) -> Options:
    """The options, with what is set in the defaults in place of what is not set in them."""
    unset = {
        name: getattr(defaults, name)
        for name in type(defaults).model_fields
        if name in defaults.model_fields_set and name not in options.model_fields_set
    }
    return options.model_copy(update=unset)
