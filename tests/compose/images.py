"""Building the images, and what must not be in them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.compose.commands import BUILD, documented
from tests.compose.engine import ROOT, Engine, Failed, succeeds

IMAGE = "memory-r1:0.1.0"
POSTGRES = "localhost/memory-r1-test-postgres:17"
TOOLS = "gcc cc g++ c++ clang ld as make cmake ninja rustc cargo go git curl wget pip pip3".split()
PACKAGES = "pip setuptools trl peft datasets accelerate tensorboard matplotlib pytest mypy ruff training tests".split()
_FOUND = f"""
import importlib.util, os, shutil, sys
tools = [name for name in {TOOLS!r} if shutil.which(name)]
packages = [name for name in {PACKAGES!r} if importlib.util.find_spec(name)]
print(os.getuid(), *tools, *packages)
"""


def build(engine: Engine, folder: Path, *, postgres: bool) -> None:
    """Build the service's image, and a Postgres where the one of the compose file cannot be fetched."""
    documented(engine, BUILD, folder)
    if postgres:
        engine.call("build", "-t", POSTGRES, str(ROOT / "tests/compose/postgres"))


def fetch_postgres(engine: Engine) -> None:
    """The image that the compose file names, where it is not here yet. Raises `Failed`."""
    named = re.search(r"\$\{POSTGRES_IMAGE:-([^}]+)\}", (ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    image = named[1] if named else ""
    if not succeeds([engine.program, "image", "inspect", image]) and not succeeds([engine.program, "pull", image]):
        raise Failed(f"{image} cannot be fetched; --build-postgres builds one from Debian's packages")


def check(engine: Engine) -> str:
    """What was found in the service's image. Raises `Failed` where it runs as root or holds what it should not."""
    run = ("run", "--rm", "--network", "none", "--read-only", IMAGE)
    user, *unwanted = engine.call(*run, "python3", "-c", _FOUND).decode().split()
    if user == "0" or unwanted:
        raise Failed(f"the image runs as user {user} and holds {unwanted}")
    packages = engine.call(*run, "python3", "-c", "import importlib.metadata as m; print(len(list(m.distributions())))")
    size = int(engine.call("image", "inspect", IMAGE, "--format", "{{.Size}}"))
    return f"user {user}, {packages.decode().strip()} Python packages, {size / 1e6:.0f} MB, no compiler, pip or trainer"
