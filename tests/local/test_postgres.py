"""The local Postgres with real processes: nothing acknowledged is lost, nothing stays, every refusal says why."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil  # type: ignore[import-untyped, unused-ignore]
import psycopg
import pytest

from app.local.postgres import (
    DataFolderInUse,
    FolderUnreachable,
    LocalPostgres,
    LocalPostgresError,
    PostgresFailed,
    WrongVersion,
    default_data_dir,
)
from app.local.postgres_server import LOG_LIMIT_BYTES
from app.local.postgres_setup import installed_programs

PROJECT = Path(__file__).parents[2]
GENEROUS_SECONDS = 120
as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")

WRITER = """
    import sys
    from pathlib import Path
    import psycopg
    from app.local.postgres import LocalPostgres

    postgres = LocalPostgres(Path(sys.argv[1]))
    with psycopg.connect(postgres.start().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("create table said (id integer primary key, words text)")
        for number in range(1_000_000):
            connection.execute("insert into said values (%s, repeat('word ', 50))", (number,))
            print(number, flush=True)
"""
CREATOR = """
    import sys
    from pathlib import Path
    from app.local.postgres import LocalPostgres

    LocalPostgres(Path(sys.argv[1])).start()
"""
NORMAL_USER = """
    import os, sys, encodings.idna
    from pathlib import Path
    import psycopg
    from app.local.postgres import LocalPostgres

    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    for value in (1, 2):
        with LocalPostgres(Path(sys.argv[1])) as postgres:
            with psycopg.connect(postgres.url.replace("+psycopg", "")) as connection:
                print(connection.execute("select current_user").fetchone()[0], flush=True)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="memory-r1-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data_dir(open_folder: Path) -> Path:
    """An empty data folder that is closed to everybody else, as a careful user would make it."""
    folder = open_folder / "data"
    folder.mkdir(mode=0o700)
    return folder


def connect(postgres: LocalPostgres) -> psycopg.Connection:
    return psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True)


def ask(postgres: LocalPostgres, question: str) -> object:
    with connect(postgres) as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def owner_process(script: str, data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(data_dir)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Every live process that names the folder: the server, the watchdog, initdb."""
    folder = str(data_dir.resolve())
    found = []
    for process in psutil.process_iter():
        try:
            named = any(folder in argument for argument in process.cmdline()) or process.cwd().startswith(folder)
        except psutil.Error:
            continue
        if named and process.pid != os.getpid():
            found.append(process)
    return found


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + GENEROUS_SECONDS
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds


def postmaster_id(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def kill_writer_in_mid_work(data_dir: Path) -> int:
    """Run a committing writer that owns the server, kill it without warning; returns the last acknowledged number."""
    with owner_process(WRITER, data_dir) as owner:
        assert owner.stdout is not None
        for line in owner.stdout:
            if int(line) >= 200:
                break
        owner.kill()
        acknowledged = [line, *owner.stdout.read().splitlines()]
    return int(acknowledged[-1])


def test_the_first_start_creates_a_cluster_that_keeps_its_promises(data_dir: Path) -> None:
    steps: list[str] = []
    with LocalPostgres(data_dir, progress=steps.append) as postgres:
        assert postgres.url.startswith("postgresql+psycopg://memory_r1:")
        assert postgres.url.endswith("/memory_r1")
        assert ask(postgres, "select current_database()") == "memory_r1"
        assert ask(postgres, "select lower('ÉLAN')") == "élan"
        shown = {name: ask(postgres, f"show {name}") for name in ("fsync", "data_checksums", "timezone")}
        assert shown == {"fsync": "on", "data_checksums": "on", "timezone": "UTC"}
    assert steps == ["creating the database cluster", "starting Postgres", "stopping Postgres"]
    assert processes_of(data_dir) == []


def test_vectors_of_half_precision_work(data_dir: Path) -> None:
    with LocalPostgres(data_dir) as postgres:
        with connect(postgres) as connection:
            connection.execute("create extension vector")
            connection.execute("create table memories (embedding halfvec(3))")
            connection.execute("insert into memories values ('[1,0,0]'), ('[0,1,0]')")
        assert ask(postgres, "select min(embedding <=> '[1,0,0]') from memories") == 0


def test_data_survive_stop_and_start(data_dir: Path) -> None:
    postgres = LocalPostgres(data_dir)
    postgres.start()
    with connect(postgres) as connection:
        connection.execute("create table said as select 'hello' as words")
    postgres.stop()
    with pytest.raises(LocalPostgresError, match="start"):
        _ = postgres.url
    assert postgres.start() == postgres.start()
    assert ask(postgres, "select words from said") == "hello"
    postgres.stop()
    postgres.stop()


def test_the_password_is_required_and_closed_to_others(data_dir: Path) -> None:
    with LocalPostgres(data_dir) as postgres:
        password_file = data_dir / "postgres.password"
        assert password_file.stat().st_mode & 0o777 == 0o600
        wrong = postgres.url.replace("+psycopg", "").replace(password_file.read_text(), "wrong")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(wrong)


def test_a_server_started_by_a_thread_outlives_the_thread_and_hears_no_ctrl_c(data_dir: Path) -> None:
    postgres = LocalPostgres(data_dir)
    starter = threading.Thread(target=postgres.start)
    starter.start()
    starter.join()
    time.sleep(1)
    try:
        assert ask(postgres, "select 1") == 1
        assert os.getsid(postmaster_id(data_dir)) != os.getsid(0)
    finally:
        postgres.stop()


def test_a_second_owner_is_refused_with_the_name_of_the_first(data_dir: Path) -> None:
    with LocalPostgres(data_dir) as first:
        with pytest.raises(DataFolderInUse, match=str(os.getpid())) as refusal:
            LocalPostgres(data_dir).start()
        assert refusal.value.folder == data_dir.resolve()
        assert ask(first, "select 1") == 1


def test_when_the_owner_is_killed_its_server_ends_and_no_acknowledged_row_is_lost(data_dir: Path) -> None:
    last = kill_writer_in_mid_work(data_dir)
    assert eventually(lambda: processes_of(data_dir) == [])
    with LocalPostgres(data_dir) as postgres:
        assert ask(postgres, f"select count(*) from said where id <= {last}") == last + 1


def test_a_server_that_outlived_its_owner_is_stopped_by_the_next_start(data_dir: Path) -> None:
    with owner_process(WRITER, data_dir) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        (watchdog,) = (process for process in processes_of(data_dir) if "memory-r1-watchdog" in process.cmdline())
        watchdog.kill()
        owner.kill()
    orphan = postmaster_id(data_dir)
    steps: list[str] = []
    with LocalPostgres(data_dir, progress=steps.append) as postgres:
        assert "stopping the Postgres that a killed service left behind" in steps
        assert postmaster_id(data_dir) != orphan
        assert ask(postgres, "select count(*) > 0 from said") is True
    assert processes_of(data_dir) == []


def test_a_killed_server_recovers_on_the_next_start_of_the_same_owner(data_dir: Path) -> None:
    steps: list[str] = []
    with LocalPostgres(data_dir, progress=steps.append) as postgres:
        with connect(postgres) as connection:
            connection.execute("create table said as select 'hello' as words")
        os.kill(postmaster_id(data_dir), signal.SIGKILL)
        assert eventually(lambda: not postgres.running)
        postgres.start()
        assert "recovering after an unclean stop" in steps
        assert ask(postgres, "select words from said") == "hello"


def test_a_busy_backend_of_a_killed_server_does_not_block_the_next_start(data_dir: Path) -> None:
    with LocalPostgres(data_dir) as postgres, closing(connect(postgres)) as busy:
        server = psutil.Process(postmaster_id(data_dir))
        busy.pgconn.send_query(b"select count(*) from generate_series(1, 1000000000000)")
        (backend,) = (child for child in server.children() if child.pid == busy.info.backend_pid)
        server.kill()
        assert eventually(lambda: not postgres.running)
        assert backend.is_running()
        postgres.start()
        assert ask(postgres, "select 1") == 1


def test_a_stale_pid_file_that_names_a_foreign_process_harms_neither(data_dir: Path) -> None:
    postgres = LocalPostgres(data_dir)
    postgres.start()
    os.kill(postmaster_id(data_dir), signal.SIGKILL)
    assert eventually(lambda: not postgres.running)
    postgres.stop()
    pid_file = data_dir / "postgres" / "postmaster.pid"
    data_owner = pid_file.stat().st_uid if os.geteuid() == 0 else None
    with subprocess.Popen(["sleep", "600"], user=data_owner) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *pid_file.read_text().splitlines()[1:]]) + "\n")
        with postgres:
            assert ask(postgres, "select 1") == 1
        assert stranger.poll() is None
        stranger.kill()


def test_an_empty_pid_file_is_no_obstacle(data_dir: Path) -> None:
    with LocalPostgres(data_dir) as postgres:
        pass
    (data_dir / "postgres" / "postmaster.pid").touch()
    with postgres:
        assert ask(postgres, "select 1") == 1


def test_an_initdb_killed_half_way_is_done_again(data_dir: Path) -> None:
    with owner_process(CREATOR, data_dir) as owner:
        assert eventually(lambda: any(data_dir.glob("postgres.tmp-*/*")))
        owner.kill()
    with LocalPostgres(data_dir) as postgres:
        assert ask(postgres, "select 1") == 1
    assert eventually(lambda: processes_of(data_dir) == [])
    with postgres:
        assert list(data_dir.glob("postgres.tmp*")) == []


def test_a_path_longer_than_any_socket_works(open_folder: Path) -> None:
    with LocalPostgres(open_folder / ("long" * 20) / ("longer" * 20)) as postgres:
        assert ask(postgres, "select 1") == 1


def test_data_of_another_version_are_left_alone(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(WrongVersion, match=r"Postgres 16.*Postgres 18"):
        LocalPostgres(data_dir).start()


def test_a_server_that_cannot_start_shows_its_last_words_and_frees_the_folder(data_dir: Path) -> None:
    postgres = LocalPostgres(data_dir)
    with postgres:
        pass
    settings = data_dir / "postgres" / "postgresql.conf"
    sound = settings.read_text()
    settings.write_text(sound + "\nno_such_setting = 1\n")
    with pytest.raises(PostgresFailed, match="no_such_setting"):
        postgres.start()
    settings.write_text(sound)
    with LocalPostgres(data_dir) as second:
        assert ask(second, "select 1") == 1


def test_a_folder_that_cannot_be_made_is_named(data_dir: Path) -> None:
    (data_dir / "file").touch()
    with pytest.raises(LocalPostgresError, match="MEMORY_R1_LOCAL__DATA_DIR"):
        LocalPostgres(data_dir / "file" / "below").start()


def test_what_users_say_does_not_reach_the_log(data_dir: Path) -> None:
    with LocalPostgres(data_dir) as postgres, connect(postgres) as connection:
        connection.execute("create table said (words text primary key)")
        for _ in range(2):
            try:
                connection.execute("insert into said values (%s)", ("my secret",))
            except psycopg.errors.UniqueViolation as violation:
                assert "my secret" in str(violation)
    logged = (data_dir / "postgres.log").read_text()
    assert "duplicate key" in logged
    assert "my secret" not in logged


def test_a_large_log_is_set_aside_at_the_start(data_dir: Path) -> None:
    (data_dir / "postgres.log").write_bytes(b"x" * (LOG_LIMIT_BYTES + 1))
    with LocalPostgres(data_dir):
        pass
    assert (data_dir / "postgres.log").stat().st_size < LOG_LIMIT_BYTES
    assert (data_dir / "postgres.log.1").stat().st_size > LOG_LIMIT_BYTES


@as_root_only
def test_a_closed_folder_above_the_data_is_named_and_stays_closed(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(FolderUnreachable, match="normal user") as refusal:
        LocalPostgres(closed / "data").start()
    assert refusal.value.path == closed
    assert closed.stat().st_mode & 0o777 == 0o700


@as_root_only
def test_programs_that_the_account_cannot_read_are_copied_once(
    open_folder: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    package = installed_programs().parent
    leave_out = shutil.ignore_patterns("pginstall", "include", "*.a", "__pycache__")
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, closed / part.name, symlinks=True, ignore=leave_out)
    monkeypatch.syspath_prepend(closed)
    steps: list[str] = []
    for _ in range(2):
        with LocalPostgres(data_dir, progress=steps.append) as postgres:
            assert ask(postgres, "select 1") == 1
    assert steps.count("copying the Postgres programs into the data folder") == 1


@as_root_only
def test_a_normal_user_needs_no_other_account(data_dir: Path) -> None:
    os.chown(data_dir, 65534, 65534)
    with owner_process(NORMAL_USER, data_dir) as owner:
        assert owner.stdout is not None
        assert owner.stdout.read().split() == ["memory_r1", "memory_r1"]
    assert owner.returncode == 0
    assert (data_dir / "postgres").stat().st_uid == 65534


def test_the_default_folder_follows_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_data_dir() == tmp_path / "memory-r1"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_data_dir() == Path.home() / ".local" / "share" / "memory-r1"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/memory-r1")
