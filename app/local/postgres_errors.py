"""What can go wrong with the local Postgres; every message says what to do.

LocalPostgresError
├── DataFolderInUse      another live process owns the folder
├── FolderUnreachable    the account that Postgres runs as cannot enter or read a path
├── WrongVersion         the data were written by another major version of Postgres
└── PostgresFailed       initdb or the server gave up; carries its last words
"""

from __future__ import annotations

from pathlib import Path


class LocalPostgresError(Exception):
    """Whatever keeps the local Postgres from serving."""


class DataFolderInUse(LocalPostgresError):
    """Another live process owns the data folder."""

    def __init__(self, folder: Path, owner: int | None) -> None:
        self.folder, self.owner = folder, owner
        holder = f"process {owner}" if owner else "another process"
        super().__init__(
            f"The data folder {folder} is in use by {holder}. Stop that service first, or choose another data folder "
            "with MEMORY_R1_LOCAL__DATA_DIR."
        )


class FolderUnreachable(LocalPostgresError):
    """The account that Postgres runs as cannot enter or read a path."""

    def __init__(self, path: Path, account: str) -> None:
        self.path, self.account = path, account
        super().__init__(
            f"Postgres refuses to run as root, so it runs as '{account}', who has no access to {path}. Choose a data "
            "folder that this user can reach with MEMORY_R1_LOCAL__DATA_DIR, or run the service as a normal user."
        )


class WrongVersion(LocalPostgresError):
    """The data were written by another major version of Postgres."""

    def __init__(self, cluster: Path, found: str, expected: str) -> None:
        self.cluster, self.found, self.expected = cluster, found, expected
        super().__init__(
            f"{cluster} was written by Postgres {found}, but this service brings Postgres {expected}. Move the data "
            "with pg_dump and pg_restore, or choose another data folder with MEMORY_R1_LOCAL__DATA_DIR."
        )


class PostgresFailed(LocalPostgresError):
    """A Postgres program gave up; `last_words` is the end of what it printed."""

    def __init__(self, what: str, output: str) -> None:
        self.last_words = "\n".join(output.strip().splitlines()[-20:])
        super().__init__(f"{what} Its last words:\n{self.last_words}")
