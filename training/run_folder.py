"""The folder of a run: its configuration, and the checkpoints that it can go on from."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from training.config import TrainingConfig
from training.engine import NotResumable

CONFIG = "config.json"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
# Written last, so that a checkpoint which has it is whole.
_LAST_FILE = "trainer_state.json"


def start(out_dir: Path, config: TrainingConfig, method: str, resume: bool) -> Path | None:
    """Make the folder, or check that its run is this one; the checkpoint to go on from, None for a fresh start."""
    form = f'{{"method": "{method}", "config": {config.model_dump_json(exclude={"log", "checkpoints"})}}}\n'
    file = out_dir / CONFIG
    if resume and file.exists():
        if file.read_text(encoding="utf-8") != form:
            raise NotResumable(f"The run in {out_dir} has another configuration or method.")
    elif file.exists():
        raise NotResumable(f"There is a run in {out_dir} already: resume it, or choose another folder.")
    else:
        out_dir.mkdir(parents=True, exist_ok=True)
        making = file.with_suffix(".making")
        making.write_text(form, encoding="utf-8")
        os.replace(making, file)
    return last_checkpoint(out_dir) if resume else None


def last_checkpoint(out_dir: Path) -> Path | None:
    """The newest whole one; those that a kill left half written are removed."""
    found = {int(match[1]): path for path in out_dir.iterdir() if (match := _CHECKPOINT.fullmatch(path.name))}
    for number in sorted(found, reverse=True):
        if (found[number] / _LAST_FILE).exists():
            return found[number]
        shutil.rmtree(found[number])
    return None
