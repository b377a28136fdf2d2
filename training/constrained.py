"""Sampling under the schemas that the service holds replies to, by the service's own grammars.

The loss is not constrained: it takes the log-probabilities of the model as it is, as TRL does where vLLM guides the
sampling.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from app.local.constrain import Grammar, Vocabulary
from training.shared_prefill import generating_by

Schema = Mapping[str, Any]


class Held:
    """One reply inside its schema, told of each token that was sampled."""

    def __init__(self, grammar: Grammar, end: int) -> None:
        self._grammar, self._end = grammar, end
        self._forced = grammar.forced()
        self._ended = False

    def allowed(self) -> int | Tensor:
        """The token that must come next, or for each token of the vocabulary whether it may."""
        if self._forced:
            return self._forced[0]
        if self._ended or self._grammar.complete:
            return self._end
        return torch.from_numpy(self._grammar.allowed())

    def accept(self, token: int) -> None:
        """Move on. After the end, whatever the batch is filled up with is ignored."""
        if self._forced:
            self._forced = self._forced[1:]
        elif token == self._end or self._ended:
            self._ended = True
        else:
            self._grammar.accept(token)
            self._forced = self._grammar.forced()


class SchemaProcessor(LogitsProcessor):
    """Leaves the tokens that each row's schema allows; for one call of `generate`."""

    def __init__(self, rows: Sequence[Held]) -> None:
        self._rows = rows
        self._is_first = True

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """(rows, vocabulary) scores, minus infinity for what may not follow."""
        if not self._is_first:
            for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
                row.accept(token)
        self._is_first = False
        mask = torch.zeros_like(scores, dtype=torch.bool)
        for place, row in enumerate(self._rows):
            allowed = row.allowed()
            mask[place, allowed if isinstance(allowed, int) else allowed[: scores.shape[1]]] = True
        return scores.masked_fill(~mask, -torch.inf)


@contextmanager
def held_to(model: Any, schemas: Sequence[Schema], vocabulary: Vocabulary) -> Iterator[None]:
    """Within it, each row that `model.generate` is given is held to its schema."""
    original = model.generate
    (end,) = vocabulary.end_tokens

    def generate(*arguments: Any, **options: Any) -> Any:
        rows = [Held(vocabulary.grammar(dict(schema)), end) for schema in schemas]
        return original(*arguments, logits_processor=LogitsProcessorList([SchemaProcessor(rows)]), **options)

    with generating_by(model, generate):
        yield
