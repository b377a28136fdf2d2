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
    check(out_dir, config, method, resume)
    file = out_dir / CONFIG
    if not file.exists():
        out_dir.mkdir(parents=True, exist_ok=True)
        making = file.with_suffix(".making")
        making.write_text(_form(config, method), encoding="utf-8")
        os.replace(making, file)
    return last_checkpoint(out_dir) if resume else None


def check(out_dir: Path, config: TrainingConfig, method: str, resume: bool) -> None:
    """Raise `NotResumable` where the folder has a run that this one may not go on with."""
    file = out_dir / CONFIG
    if not file.exists():
        return
    if not resume:
        raise NotResumable(f"There is a run in {out_dir} already: resume it, or choose another folder.")
    if file.read_text(encoding="utf-8") != _form(config, method):
        raise NotResumable(f"The run in {out_dir} has another configuration or method.")


def _form(config: TrainingConfig, method: str) -> str:
    return f'{{"method": "{method}", "config": {config.model_dump_json(exclude={"log", "checkpoints"})}}}\n'


def last_checkpoint(out_dir: Path) -> Path | None:
    """The newest whole one; those that a kill left half written are removed."""
    found = {int(match[1]): path for path in out_dir.iterdir() if (match := _CHECKPOINT.fullmatch(path.name))}
    for number in sorted(found, reverse=True):
        if (found[number] / _LAST_FILE).exists():
            return found[number]
        shutil.rmtree(found[number])
    return None
