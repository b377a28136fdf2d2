"""Node and the TypeScript client, built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
TYPESCRIPT = ROOT / "sdk/typescript"
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
"""The node that pip installed comes first."""


def built_typescript() -> None:
    """Fails where node or its packages are missing: only who asks for it goes without, never by accident."""
    if os.environ.get("MEMORY_R1_SKIP_SDK") == "1":
        pytest.skip("left out on request: MEMORY_R1_SKIP_SDK=1")
    if shutil.which("node", path=PATH) is None or not (TYPESCRIPT / "node_modules/.bin/tsc").exists():
        pytest.fail("Node or its packages are missing: run `make sdks-install`, or set MEMORY_R1_SKIP_SDK=1.")
    # Tests in another process may be running what is built: it is built once, and not under their feet.
    with FileLock(TYPESCRIPT / "node_modules/.build.lock"):
        if not _is_built():
            built = run_node([str(TYPESCRIPT / "node_modules/.bin/tsc")], TYPESCRIPT, {})
            assert built.returncode == 0, built.stdout


def _is_built() -> bool:
    index = TYPESCRIPT / "dist/index.js"
    sources = [*(TYPESCRIPT / "src").rglob("*.ts"), TYPESCRIPT / "tsconfig.json", TYPESCRIPT / "package-lock.json"]
    return index.exists() and index.stat().st_mtime > max(source.stat().st_mtime for source in sources)


def run_node(
    command: list[str], folder: Path, variables: dict[str, str], said: str | None = None
) -> subprocess.CompletedProcess[str]:
    """What a program of node printed."""
    environment = os.environ | {"PATH": PATH, "NO_COLOR": "1"} | variables
    return subprocess.run(
        command, cwd=folder, env=environment, input=said, capture_output=True, text=True, timeout=600, check=False
    )
