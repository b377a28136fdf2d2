"""Brings the compose file up for real, breaks every container while turns are posted, and looks for what was lost.

`python -m tests.compose --help`. Needs a container engine; the model server is a scripted one in a container.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.compose import images
from tests.compose.chat import BANKS, Chat, Reader, check
from tests.compose.commands import BACK_UP, MAKE_KEY, RESTORE, UP, UPGRADE, documented
from tests.compose.engine import PATIENCE_SECONDS, Engine, Failed, engine, wait_until, write_env
from tests.fixtures.model_servers import free_port

SECRETS_FILE = "docker-compose.secrets.yml"
TURNS_BETWEEN = 4
"""Acknowledged between two failures."""
HARDENING = """
set -e
if touch /opt/x 2>/dev/null; then echo "the root file system can be written to" >&2; exit 1; fi
touch /tmp/x
grep -q "^CapEff:.*0000000000000000$" /proc/self/status
grep -q "^CapBnd:.*0000000000000000$" /proc/self/status
grep -q "^NoNewPrivs:.*1$" /proc/self/status
"""
_started = time.monotonic()


def main() -> int:
    """Run everything; 0 where nothing was lost and nothing was there twice."""
    options = _options()
    try:
        program, compose = engine(options.engine)
        with tempfile.TemporaryDirectory(prefix="memory-r1-compose-") as folder:
            return _run(options, program, compose, Path(folder))
    except Failed as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace, program: str, compose: tuple[str, ...], folder: Path) -> int:
    project = f"memory-r1-test-{secrets.token_hex(3)}"
    tested = Engine(program, compose, project, folder / "env")
    url = _write_settings(folder, program, with_postgres=options.build_postgres)
    try:
        if not options.no_build:
            images.build(tested, options.build_options, postgres=options.build_postgres)
            say("the images are built")
        say(f"in the image: {images.check(tested)}")
        _scenario(tested, url, folder)
        say("passed: nothing lost, nothing twice, nothing out of order")
        return 0
    except Failed as error:
        print(f"FAILED: {error}\n\n{tested.logs()}", file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            tested.run("down", "-v", "--remove-orphans")
            say("taken down, with its volumes")


def _scenario(tested: Engine, url: str, folder: Path) -> None:
    documented(tested, UP, folder)
    key = documented(tested, MAKE_KEY, folder).split()[-1]
    reader = Reader(url, key)
    wait_until("the API is ready", reader.is_ready)
    for service in ("postgres", "api", "worker"):
        tested.wait_healthy(service)
    say("up and healthy, with a key made")
    _check_hardening(tested)
    chat = Chat(url, key)
    chat.start()
    for service in ("worker", "api", "model", "postgres", "worker"):
        waiting = _turns_wait(chat, reader)
        _restart(tested, service)
        say(f"restarted: {service}, while {waiting} turns waited")
    for service in ("worker", "postgres", "api", "model", "worker", "postgres"):
        waiting = _turns_wait(chat, reader)
        tested.kill(service)
        say(f"killed with SIGKILL, and back: {service}, while {waiting} turns waited")
    say(f"all containers go while {_turns_wait(chat, reader)} turns wait")
    tested = _down_and_up(tested, folder)
    wait_until("the API is ready", reader.is_ready)
    posted = chat.end()
    say(f"{posted} turns acknowledged; refused meanwhile: {dict(chat.refusals)}")
    wait_until("all turns are done", lambda: reader.waiting() == 0, 2 * PATIENCE_SECONDS)
    before = reader.whole()
    check(chat.acknowledged, before)
    say("every turn is stored once, in order, and became one memory")
    _ask(reader, chat)
    _stop_cleanly(tested)
    _back_up_and_restore(tested, reader, folder, before)
    _upgrade(tested, reader, folder, before)


def _turns_wait(chat: Chat, reader: Reader) -> int:
    """Wait until the service took more turns and some of them are not done; how many."""
    most = chat.acknowledgements() + TURNS_BETWEEN
    waiting = 0

    def is_so() -> bool:
        nonlocal waiting
        if chat.failure:
            raise Failed(chat.failure)
        waiting = reader.waiting() if chat.acknowledgements() >= most and reader.is_ready() else 0
        return waiting > 0

    wait_until("posted turns wait for the worker", is_so)
    return waiting


def _restart(tested: Engine, service: str) -> None:
    pid = tested.pid(service)
    tested.run("restart", service)
    tested.wait_running(service, not_pid=pid)


def _down_and_up(tested: Engine, folder: Path) -> Engine:
    """All containers are removed in the middle, and come back with their secrets from files."""
    tested.run("down")
    say("down; the containers are gone, the volumes stay")
    _move_secrets_to_files(folder)
    changed = replace(tested, files=(tested.files[0], SECRETS_FILE, *tested.files[1:]))
    documented(changed, UP, folder)
    say("up again, now with its secrets from files")
    shown = changed.call("inspect", changed.container("api")).decode()
    if (folder / "secrets/service_password").read_text() in shown:
        raise Failed("the password is still in the container's environment")
    return changed


def _ask(reader: Reader, chat: Chat) -> None:
    for bank in BANKS:
        marker = chat.acknowledged[bank][0]
        answered = reader.ask(bank, f"Who bought {marker}?")
        if not any(marker in one["external_ids"] for one in answered["candidates"]):
            raise Failed(f"bank {bank}: {marker} was not found when asked for")
    say("asked: what was said first is found in every bank")


def _stop_cleanly(tested: Engine) -> None:
    for service in ("api", "worker", "postgres"):
        status, seconds = tested.stop(service)
        if status:
            raise Failed(f"{service} ended with {status} on SIGTERM, after {seconds:.0f} seconds")
        say(f"SIGTERM: {service} ended with 0, in {seconds:.1f} seconds")
    documented(tested, UP, Path())


def _back_up_and_restore(
    tested: Engine, reader: Reader, folder: Path, before: dict[str, dict[str, list[dict[str, object]]]]
) -> None:
    wait_until("the API is ready", reader.is_ready)
    documented(tested, BACK_UP, folder)
    size = (folder / "backup.dump").stat().st_size
    tested.run("down", "-v")
    say(f"backed up, {size} bytes; everything is taken down, with its volumes")
    for line in RESTORE:
        documented(tested, line, folder)
    wait_until("the API is ready", reader.is_ready)
    if reader.whole() != before:
        raise Failed("what was restored is not what was backed up")
    say("restored into an empty volume: all turns, memories and operations are the same, and the key is valid")


def _upgrade(
    tested: Engine, reader: Reader, folder: Path, before: dict[str, dict[str, list[dict[str, object]]]]
) -> None:
    for line in UPGRADE[1:]:
        documented(tested, line, folder)
    wait_until("the API is ready", reader.is_ready)
    if reader.whole() != before:
        raise Failed("something changed in an upgrade to the same version")
    say("upgraded to the same version: nothing changed")


def _check_hardening(tested: Engine) -> None:
    for service in ("api", "worker"):
        tested.run("exec", "-T", service, "sh", "-c", HARDENING)
    say("api and worker: root file system read-only, no capabilities, no new privileges")


def _write_settings(folder: Path, program: str, *, with_postgres: bool) -> str:
    port = free_port()
    (folder / "policies").mkdir()
    values = {
        "POSTGRES_PASSWORD": f"{secrets.token_hex(12)} @:/%",
        "SERVICE_PASSWORD": f"{secrets.token_hex(12)} @:/%",
        "MEMORY_R1_LLM__MODEL": "scripted",
        "MEMORY_R1_PUBLISH": f"127.0.0.1:{port}",
        "POLICIES_DIR": str(folder / "policies"),
        "SECRETS_DIR": str(folder / "secrets"),
    }
    if program == "podman":
        # Before 4.7 it needs an address; nothing is asked of it here.
        values["HOST_GATEWAY"] = "127.0.0.1"
    if with_postgres:
        values["POSTGRES_IMAGE"] = images.POSTGRES
    write_env(folder / "env", values)
    return f"http://127.0.0.1:{port}"


def _move_secrets_to_files(folder: Path) -> None:
    values = dict(line.split("=", 1) for line in (folder / "env").read_text().splitlines())
    (folder / "secrets").mkdir(mode=0o700)
    for name in ("POSTGRES_PASSWORD", "SERVICE_PASSWORD"):
        # Readable by the containers' users; on this machine the folder keeps others out.
        (folder / "secrets" / name.lower()).write_text(values.pop(name))
    (folder / "secrets/llm_api_key").write_text("")
    write_env(folder / "env", values)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.compose", description=__doc__)
    parser.add_argument("--engine", help='"docker compose" or "podman-compose"; found by itself if left out')
    parser.add_argument("--no-build", action="store_true", help="take the images that are there")
    parser.add_argument("--build-options", default="", help="for the service's image, such as --build-arg TORCH_ARGS=")
    parser.add_argument(
        "--build-postgres", action="store_true", help="build a Postgres from Debian's packages instead of fetching one"
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running, to look at it")
    return parser.parse_args()


def say(line: str) -> None:
    print(f"{time.monotonic() - _started:6.0f} s  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
