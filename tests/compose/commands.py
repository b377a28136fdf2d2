"""The commands of docs/hosting.md that `python -m tests.compose` runs; a test holds that they are the same."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.compose.engine import Engine, output

BUILD = "docker compose build"
UP = "docker compose up -d"
MAKE_KEY = "docker compose exec -T api memory-r1 keys create --name backend --tenant acme"
BACK_UP = "docker compose exec -T postgres pg_dump -U memory_r1 -Fc memory_r1 > backup.dump"
RESTORE = (
    "docker compose up -d postgres",
    "docker compose run --rm migrate",
    "docker compose exec -T postgres pg_restore -U memory_r1 -d memory_r1 --clean --if-exists --single-transaction"
    " < backup.dump",
    "docker compose run --rm migrate",
    "docker compose up -d",
)
UPGRADE = (BUILD, "docker compose stop api worker", "docker compose up -d")
DOCUMENTED = (BUILD, UP, MAKE_KEY, BACK_UP, *RESTORE, *UPGRADE)


def documented(engine: Engine, line: str, folder: Path) -> str:
    """Run a command as it is written down, on this project, with its files in a folder; its output."""
    if line == UP or line == "docker compose up -d postgres":
        # Where the engine is podman, what waits for a health check has to be helped.
        engine.up() if line == UP else engine.up_alone("postgres")
        return ""
    if engine.program == "podman":
        line = line.replace("run --rm", "run --rm --no-deps")
    command = line.replace("docker compose", shlex.join(engine.command()), 1)
    script = command.replace("backup.dump", shlex.quote(str(folder / "backup.dump")))
    return output(["bash", "-c", script]).decode(errors="replace")
