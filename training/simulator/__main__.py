"""Generate conversations: `python -m training.simulator --seed 1 --conversations 3 --show`."""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

from training.simulator import storage, world
from training.simulator.pools import Split


def main(arguments: list[str] | None = None) -> None:
    """Print statistics; write JSON lines and show the dialogues if asked."""
    options = _parser().parse_args(arguments)
    made = list(islice(world.conversations(Split(options.split), options.seed), options.conversations))
    if options.show:
        print("\n\n".join(storage.as_text(conversation) for conversation in made), end="\n\n")
    if options.out:
        storage.write_jsonl(options.out, made)
    print(storage.statistics(made))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.simulator", description=__doc__)
    parser.add_argument("--split", choices=[split.value for split in Split], default=Split.TRAIN.value)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--conversations", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write JSON lines to this file")
    parser.add_argument("--show", action="store_true", help="print the dialogues")
    return parser


if __name__ == "__main__":
    main()
