"""From a trained model to a folder that can be served: weights, stamp, model card.

vLLM loads it by `--lora-modules` or at run time (an adapter), or as its model (merged). The service takes it by
`memory-r1 policies add`, and the embedded default from `MEMORY_R1_LOCAL__POLICIES`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import peft
import torch
from pydantic import BaseModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.core.agents.answerer import AnswererOptions
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import ManagerOptions
from app.core.errors import UnfitPolicy
from app.core.policies import (
    ADAPTER_FILE,
    POLICY_NAME,
    Base,
    Data,
    Form,
    PolicyStamp,
    PromptStamp,
    Score,
    read_policy,
    weights_sha256,
    write_stamp,
)
from app.core.values import Role
from app.local.adapters import CONFIG_FILE, read_adapter
from app.local.model import hide_progress_bars, source_sha256
from training import run_folder
from training.engine import TrainingError
from training.model_card import model_card

MIB = 1 << 20
Precision = Literal["float16", "bfloat16", "float32"]
_OPTIONS: dict[Role, type[BaseModel]] = {
    Role.EXTRACTOR: ExtractorOptions,
    Role.MANAGER: ManagerOptions,
    Role.ANSWERER: AnswererOptions,
}


class NotExportable(TrainingError, ValueError):
    """What was trained cannot be served, or not in this form."""


@dataclass(frozen=True)
class Provenance:
    """What the exporter cannot see by itself."""

    name: str
    """Small letters, digits, dots and dashes: `memory-manager-small-1`."""
    role: Role
    options: BaseModel
    """Of the agent, as it was asked in training."""
    licence: str
    method: str = ""
    """Taken from the run where it is left out, like `config`."""
    steps: int = 0
    seeds: tuple[int, ...] = ()
    data: tuple[Data, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()
    limits: tuple[str, ...] = ()


def export(
    trained: Path,
    out_dir: Path,
    provenance: Provenance,
    *,
    form: Form = "adapter",
    base: Path | str | None = None,
    precision: Precision | None = None,
    max_bytes: int | None = None,
) -> PolicyStamp:
    """Write what was trained to a new folder; whole, or not at all.

    `trained` is a run's folder, or that of its model. `base` is the model under an adapter: a folder or a name on the
    hub; left out, the one that the adapter names. `precision` of an adapter is float16 where it is left out, since its
    small weights keep three bits more than in bfloat16; a merged model is bfloat16. Raises `NotExportable`.
    """
    _check(provenance, out_dir)
    model_dir = trained / "model" if (trained / "model").is_dir() else trained
    under = _base_of(model_dir, base)
    making = out_dir.with_name(f".{out_dir.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        if form == "adapter":
            _write_adapter(model_dir, making, _name(under), precision or "float16")
        else:
            _write_merged(model_dir, making, under, precision or "bfloat16")
        stamp = _stamp(making, provenance, form, under, _run(trained))
        write_stamp(making, stamp)
        (making / "README.md").write_text(model_card(stamp), encoding="utf-8")
        _open_to_readers(making)
        _check_size(making, max_bytes)
        making.rename(out_dir)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return stamp


def rescore(folder: Path, scores: Sequence[Score], limits: Sequence[str]) -> PolicyStamp:
    """Put scores, and limits where there are some, on an exported policy; its weights stay as they are.

    Raises `UnfitPolicy` where the folder holds no policy, or other weights than its stamp says.
    """
    old = read_policy(folder)
    stamp = old.model_copy(update={"scores": tuple(scores), "limits": tuple(limits) or old.limits})
    write_stamp(folder, stamp)
    (folder / "README.md").write_text(model_card(stamp), encoding="utf-8")
    return stamp


def _open_to_readers(folder: Path) -> None:
    """Weights are written for their owner alone, and the server may run as somebody else."""
    mode = (folder / "README.md").stat().st_mode
    for file in folder.iterdir():
        file.chmod(mode)


def _check(provenance: Provenance, out_dir: Path) -> None:
    if not POLICY_NAME.fullmatch(provenance.name):
        raise NotExportable(f"{provenance.name!r} is no name of a policy: {POLICY_NAME.pattern}")
    wanted = _OPTIONS[provenance.role]
    if not isinstance(provenance.options, wanted):
        given = type(provenance.options).__name__
        raise NotExportable(f"The options of the {provenance.role.value} are {wanted.__name__}, not {given}.")
    if out_dir.exists():
        raise NotExportable(f"{out_dir} is there already.")


def _base_of(model_dir: Path, given: Path | str | None) -> Path | str:
    """The model under an adapter, or the model itself where all of it was trained. Raises `NotExportable`."""
    named: object = str(given) if given is not None else None
    if (model_dir / CONFIG_FILE).is_file():
        named = named or json.loads((model_dir / CONFIG_FILE).read_text(encoding="utf-8")).get(
            "base_model_name_or_path"
        )
    elif (model_dir / "config.json").is_file():
        named = named or json.loads((model_dir / "config.json").read_text(encoding="utf-8")).get("_name_or_path")
    else:
        raise NotExportable(f"There is no trained model in {model_dir}.")
    if not named:
        raise NotExportable("The model that it was made from is not known: name it.")
    if Path(str(named)).is_dir():
        return Path(str(named))
    if str(named).startswith((".", "/")):
        raise NotExportable(f"The model that it was made from is not there: {named}.")
    return str(named)


def _name(base: Path | str) -> str:
    """Without the folders of this machine."""
    return base.resolve().name if isinstance(base, Path) else base


def _write_adapter(model_dir: Path, out_dir: Path, base: str, precision: Precision) -> None:
    if not (model_dir / CONFIG_FILE).is_file():
        raise NotExportable(f"{model_dir} has no adapter: all weights were trained. Export it merged.")
    _refuse_other_adapters(model_dir)
    weights = {
        name: weight.to(getattr(torch, precision)) for name, weight in load_file(model_dir / ADAPTER_FILE).items()
    }
    unfit = [name for name, weight in weights.items() if not weight.isfinite().all()]
    if unfit:
        raise NotExportable(f"Weights are not finite in {precision}: {unfit[0]}.")
    save_file(weights, out_dir / ADAPTER_FILE, metadata={"format": "pt"})
    config = json.loads((model_dir / CONFIG_FILE).read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": base, "inference_mode": True}
    (out_dir / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _refuse_other_adapters(model_dir: Path) -> None:
    """Raise `NotExportable` for what vLLM or the embedded model would not serve, or not as it was trained."""
    try:
        layers = read_adapter(model_dir).matrices
    except UnfitPolicy as error:
        raise NotExportable(str(error)) from error
    outer = [layer for layer in layers if ".layers." not in f".{layer}"]
    if outer:
        raise NotExportable(f"An adapter on {outer[0]} is not served: train one on the layers in between alone.")


def _write_merged(model_dir: Path, out_dir: Path, base: Path | str, precision: Precision) -> None:
    """Merged in float32: the sum of a weight and a small change loses the change in 16 bits more than once."""
    hide_progress_bars()
    if (model_dir / CONFIG_FILE).is_file():
        _refuse_other_adapters(model_dir)
        under = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        with warnings.catch_warnings():
            # PEFT asks transformers by a name that is on its way out.
            warnings.simplefilter("ignore", FutureWarning)
            model: Any = peft.PeftModel.from_pretrained(under, str(model_dir)).merge_and_unload()
    else:
        model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    model.to(getattr(torch, precision)).save_pretrained(out_dir)
    has_tokenizer = (model_dir / "tokenizer_config.json").is_file()
    tokenizer: Any = AutoTokenizer.from_pretrained(model_dir if has_tokenizer else base)
    # Training pads on the left; whoever serves the model expects its own side.
    tokenizer.padding_side = "right"
    tokenizer.save_pretrained(out_dir)


def _run(trained: Path) -> dict[str, Any]:
    """Method and configuration of a run's folder; empty for a model's folder."""
    try:
        found = json.loads((trained / run_folder.CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and {"method", "config"} <= set(found) else {}


def _stamp(folder: Path, provenance: Provenance, form: Form, base: Path | str, run: dict[str, Any]) -> PolicyStamp:
    config = provenance.config or run.get("config", {})
    return PolicyStamp(
        name=provenance.name,
        role=provenance.role,
        form=form,
        base=Base(name=_name(base), sha256=source_sha256(base) if isinstance(base, Path) else None),
        weights_sha256=weights_sha256(folder),
        prompt=PromptStamp.of(provenance.role, provenance.options),
        method=provenance.method or run.get("method", "not told"),
        steps=provenance.steps,
        seeds=provenance.seeds or ((config["seed"],) if "seed" in config else ()),
        data=provenance.data,
        config=config,
        git_revision=git_revision(),
        scores=provenance.scores,
        limits=provenance.limits,
        licence=provenance.licence,
        created=datetime.now(UTC).replace(microsecond=0),
    )


def git_revision() -> str | None:
    """Of this code, with `-changed` where files differ from it; None outside a repository."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        ran = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True)
        return ran.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", "../app")
        return git("rev-parse", "HEAD") + ("-changed" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _check_size(folder: Path, most: int | None) -> None:
    size = sum(file.stat().st_size for file in folder.iterdir())
    if most is not None and size > most:
        raise NotExportable(
            f"The policy has {size / MIB:.1f} MiB and may have {most / MIB:.1f}: "
            "train a lower rank, or fewer layers, or export in 16 bits."
        )
