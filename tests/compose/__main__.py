"""Brings the compose file up for real, breaks every container while turns are posted, and looks for what was lost.

`python -m tests.compose --help`. Needs a container engine; the model server is a scripted one in a container.
"""

from __future__ import annotations

import argparse
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

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
Banks = dict[str, dict[str, list[dict[str, object]]]]
_started = time.monotonic()


class Interrupted(BaseException):
    """A signal asks to end; what was brought up is taken down first."""


def main() -> int:
    """Run everything; 0 where nothing was lost and nothing was there twice."""
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="memory-r1-compose-"))
    try:
        program, compose = engine(options.engine)
        _run(options, program, compose, folder)
    except Failed as error:
        if error.details:
            print(error.details, file=sys.stderr)
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    except Interrupted as error:
        print(f"FAILED: interrupted by {error}", file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    say("passed: nothing lost, nothing twice, nothing out of order")
    return 0


def _interrupt(number: int, _: FrameType | None) -> None:
    for every in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Once is enough: what follows is taking down.
        signal.signal(every, lambda *_: None)
    raise Interrupted(signal.Signals(number).name)


def _run(options: argparse.Namespace, program: str, compose: tuple[str, ...], folder: Path) -> None:
    project = f"memory-r1-test-{secrets.token_hex(3)}"
    tested = Engine(program, compose, project, folder / "env")
    url = _write_settings(folder, program, options)
    left: list[str] = []
    try:
        _provide_images(tested, options, folder)
        _scenario(tested, url, folder)
    except Failed:
        print(tested.logs(), file=sys.stderr)
        raise
    finally:
        if options.keep:
            say(f"kept; it goes with: {shlex.join(tested.command())} down -v && rm -r {folder}")
        else:
            say("taking down, with the volumes")
            left = tested.remove()
            say(f"left behind: {left}" if left else "taken down")
    if left:
        raise Failed(f"the engine could not remove {left}")


def _provide_images(tested: Engine, options: argparse.Namespace, folder: Path) -> None:
    if not options.no_build:
        say("the images are being built; the first time this fetches packages for minutes")
        images.build(tested, folder, postgres=options.build_postgres)
        say("the images are built")
    if not options.build_postgres:
        images.fetch_postgres(tested)
    say(f"in the image: {images.check(tested)}")


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
        _ask(reader, chat)
    for service in ("worker", "postgres", "api", "model", "worker", "postgres"):
        waiting = _turns_wait(chat, reader)
        tested.kill(service)
        say(f"killed with SIGKILL, and back: {service}, while {waiting} turns waited")
        _ask(reader, chat)
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
    _back_up_and_restore(tested, reader, chat, folder, before)
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
        wait_until(f"bank {bank}: {marker} is done", lambda b=bank, m=marker: reader.is_done(b, m))  # type: ignore[misc]
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


def _back_up_and_restore(tested: Engine, reader: Reader, chat: Chat, folder: Path, before: Banks) -> None:
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
    _ask(reader, chat)


def _upgrade(tested: Engine, reader: Reader, folder: Path, before: Banks) -> None:
    # The first of these commands has built the image.
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


def _write_settings(folder: Path, program: str, options: argparse.Namespace) -> str:
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
    if options.build_postgres:
        values["POSTGRES_IMAGE"] = images.POSTGRES
    values |= dict(options.set)
    write_env(folder / "env", values)
    return f"http://127.0.0.1:{port}"


def _move_secrets_to_files(folder: Path) -> None:
    values = dict(line.split("=", 1) for line in (folder / "env").read_text().splitlines())
    (folder / "secrets").mkdir(mode=0o700)
    for name in ("POSTGRES_PASSWORD", "SERVICE_PASSWORD"):
        # Readable by the containers' users; on this machine the folder keeps others out.
        (folder / "secrets" / name.lower()).write_text(values.pop(name))
    (folder / "secrets/llm_api_key").write_text("")
    for file in (folder / "secrets").iterdir():
        file.chmod(0o644)
    write_env(folder / "env", values)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.compose", description=__doc__)
    parser.add_argument("--engine", help='"docker compose" or "podman-compose"; found by itself if left out')
    parser.add_argument("--no-build", action="store_true", help="take the images that are there")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_variable,
        metavar="NAME=VALUE",
        help="a variable of .env, as TORCH_ARGS",
    )
    parser.add_argument(
        "--build-postgres", action="store_true", help="build a Postgres from Debian's packages instead of fetching one"
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running, to look at it")
    return parser.parse_args()


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"not NAME=VALUE: {text}")
    return name, value


def say(line: str) -> None:
    print(f"{time.monotonic() - _started:6.0f} s  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
