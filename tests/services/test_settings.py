"""Where settings come from: the environment first, then files of secrets; passwords beside their URLs."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import make_url

from app.settings import SECRETS_DIR, DatabaseSettings, Settings

URL = "postgresql+psycopg://app@db/memory_r1"
PASSWORD = 'a "b%2F\\ :/@?#é'


def settings() -> Settings:
    return Settings(_env_file=None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    monkeypatch.setenv("MEMORY_R1_DATABASE__URL", URL)
    return tmp_path


def test_a_password_of_any_characters_is_put_into_the_url() -> None:
    database = DatabaseSettings(
        url=SecretStr(URL),
        owner_url=SecretStr("postgresql+psycopg://boss@db/memory_r1"),
        password=SecretStr(PASSWORD),
        owner_password=SecretStr("other"),
    )
    url = make_url(database.url.get_secret_value())
    assert (url.username, url.password, url.host, url.database) == ("app", PASSWORD, "db", "memory_r1")
    assert database.owner_url is not None
    assert make_url(database.owner_url.get_secret_value()).password == "other"


def test_a_password_in_the_url_is_kept() -> None:
    url = SecretStr(URL.replace("app@", "app:mine@"))
    assert DatabaseSettings(url=url, password=SecretStr("other")).url == url


def test_files_of_secrets_are_settings(folder: Path) -> None:
    (folder / "memory_r1_database__password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    (folder / "MEMORY_R1_LLM__MANAGER__API_KEY").write_text("sk-1\n")
    (folder / "of-somebody-else").write_text("x")
    read = settings()
    assert make_url(read.database.url.get_secret_value()).password == PASSWORD
    assert read.llm.manager.api_key == SecretStr("sk-1")


def test_the_environment_goes_before_files_and_what_is_empty_is_unset(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "memory_r1_llm__api_key").write_text("file")
    monkeypatch.setenv("MEMORY_R1_LLM__API_KEY", "")
    monkeypatch.setenv("MEMORY_R1_LLM__TIMEOUT", "")
    assert settings().llm.api_key == SecretStr("file")
    assert settings().llm.timeout == 60
    monkeypatch.setenv("MEMORY_R1_LLM__API_KEY", "environment")
    assert settings().llm.api_key == SecretStr("environment")


def test_files_are_read_only_where_a_folder_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "memory_r1_llm__api_key").write_text("file")
    monkeypatch.delenv(SECRETS_DIR)
    assert settings().llm.api_key is None


def test_a_folder_that_is_not_there_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRETS_DIR, str(folder / "nowhere"))
    with pytest.raises(NotADirectoryError, match=f"^{SECRETS_DIR} names .*nowhere, which is not a folder"):
        settings()


def test_a_file_that_does_not_fit_is_named_without_its_content(folder: Path) -> None:
    (folder / "memory_r1_llm__timeout").write_text("not-to-be-told")
    with pytest.raises(ValidationError) as told:
        settings()
    assert [fault["loc"] for fault in told.value.errors()] == [("llm", "timeout")]
