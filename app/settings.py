"""Every setting of the service, read once: from the environment (`MEMORY_R1_...`, nested by `__`), `.env` or files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NestedSecretsSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from app.core.agents.answerer import AnswererOptions
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import ManagerOptions

MAX_INDEXED_DIMENSION = 1100
"""A btree tuple holds at most about 2.7 kB; the covering index carries the half-precision vector and the speaker."""
SECRETS_DIR = "MEMORY_R1_SECRETS_DIR"
"""Names a folder of files, each one setting. Only on demand: what else lies in /run/secrets need not be readable."""


class Section(BaseModel):
    model_config = {"use_attribute_docstrings": True}


class DatabaseSettings(Section):
    url: SecretStr = SecretStr("postgresql+psycopg://memory_r1@127.0.0.1:5432/memory_r1")
    """SQLAlchemy URL of a Postgres (16 or newer) with pgvector 0.8 or newer."""
    owner_url: SecretStr | None = None
    """The same database as the role that owns the tables, for `memory-r1 migrate` alone; `url` if unset. Where its user
    is another than `url`'s, migrating makes the latter a login that owns nothing."""
    password: SecretStr | None = None
    """Password of `url`'s user, where the URL holds none. It may hold any character, and needs no quoting."""
    owner_password: SecretStr | None = None
    """The same for `owner_url`."""
    role: str = Field("memory_r1_service", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    """Role that the service works in, which row-level security binds; the user of `url` is a member of it."""
    pool_size: int = Field(10, ge=1, le=200)
    """Connections kept open by one process."""
    max_overflow: int = Field(10, ge=0, le=200)
    """Connections opened beyond them under load."""
    pool_timeout: float = Field(10, gt=0)
    """Seconds that a request waits for a connection before it answers 503."""
    lock_timeout: float = Field(5, gt=0)
    """Seconds that a request waits for a bank that another is writing to before it answers 503."""
    statement_timeout: float = Field(120, gt=0)
    """Seconds that one statement may take."""

    @model_validator(mode="after")
    def _passwords_belong_to_urls(self) -> Self:
        if self.password is not None:
            self.url = _with_password(self.url, self.password)
        if self.owner_url is not None and self.owner_password is not None:
            self.owner_url = _with_password(self.owner_url, self.owner_password)
        return self


def _with_password(url: SecretStr, password: SecretStr) -> SecretStr:
    # Here, since it takes long to import and few need it.
    from sqlalchemy import make_url

    parts = make_url(url.get_secret_value())
    if parts.password is not None:
        return url
    return SecretStr(parts.set(password=password.get_secret_value()).render_as_string(hide_password=False))


class ServerSettings(Section):
    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback requires API keys."""
    port: int = Field(8080, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    require_key: bool | None = None
    """Demand an API key; by default only where `host` is not loopback."""
    allowed_hosts: list[str] = []
    """Names in the `Host` header that are answered, as a JSON list such as `["memory.example.com"]`; if empty, any
    where a key is required, else addresses and names without a dot."""
    max_body_bytes: int = Field(4_000_000, ge=1000)
    """Bytes of a request's body."""
    body_seconds: float = Field(30, gt=0)
    """Seconds for receiving a request's body; a slower client is answered 408."""
    max_requests: int = Field(1000, ge=1)
    """Requests under way at once in one process, long waits among them; beyond it they answer 503."""
    max_turns: int = Field(1000, ge=1, le=10_000)
    """Turns in one post."""
    max_waiting_turns: int = Field(100_000, ge=1)
    """Turns of one bank that wait to be worked on; beyond it a post answers 429."""
    max_answers: int = Field(64, ge=1)
    """Questions answered at once by one process; beyond it `/answer` answers 429."""
    max_transfers: int = Field(2, ge=1)
    """Banks exported and imported at once by one process; beyond it `/export` and `/import` answer 429."""
    transfer_seconds: float = Field(600, gt=0)
    """Seconds for sending an export, or for receiving the file of an import; a slower client is cut off."""
    max_import_bytes: int = Field(256_000_000, ge=1000)
    """Bytes of a file that is imported."""


class RoleSettings(Section):
    """One role's departures from `llm`; what is unset is taken from there."""

    base_url: str | None = None
    """URL of the role's own server, up to and with `/v1`."""
    model: str | None = None
    """Model or adapter that the role calls."""
    api_key: SecretStr | None = None
    """Bearer key of the role's server."""
    timeout: float | None = Field(None, gt=0)
    """Seconds for one call."""
    max_retries: int | None = Field(None, ge=0, le=10)
    """Tries after the first, where another can help."""
    concurrency: int | None = Field(None, ge=1)
    """Calls at once from one process."""
    temperature: float | None = Field(None, ge=0, le=2)
    """Sampling temperature; 0 is greedy."""
    top_p: float | None = Field(None, gt=0, le=1)
    """Nucleus sampling."""
    max_tokens: int | None = Field(None, ge=16)
    """Tokens of a reply."""


class LlmSettings(Section):
    base_url: str | None = None
    """URL of an OpenAI-compatible server (vLLM, Ollama, llama.cpp, a cloud), up to and with `/v1`."""
    model: str = "Qwen/Qwen2.5-7B-Instruct"
    """Model that the server serves."""
    api_key: SecretStr | None = None
    """Bearer key of the server."""
    timeout: float = Field(60, gt=0)
    """Seconds for one call."""
    max_retries: int = Field(2, ge=0, le=10)
    """Tries after the first, where another can help: unreachable, timed out, 429, 5xx."""
    concurrency: int = Field(32, ge=1)
    """Calls at once from one process, for each role."""
    temperature: float = Field(0.0, ge=0, le=2)
    """Sampling temperature; 0 is greedy."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling."""
    max_tokens: int = Field(1024, ge=16)
    """Tokens of a reply."""
    extractor: RoleSettings = RoleSettings()
    manager: RoleSettings = RoleSettings()
    answerer: RoleSettings = RoleSettings()


class EmbeddingSettings(Section):
    kind: Literal["sentence-transformers", "http"] = "sentence-transformers"
    """Embed in this process, or call an OpenAI-compatible `/v1/embeddings` server."""
    model: str = "packaged:all-MiniLM-L6-v2"
    """`packaged:all-MiniLM-L6-v2` (comes from pip), a folder, or a name that the hub or the server knows."""
    dimension: int | None = Field(None, ge=1, le=MAX_INDEXED_DIMENSION)
    """Dimension, needed for `http`; checked against what the model gives."""
    base_url: str | None = None
    """URL of the embedding server, up to and with `/v1`."""
    api_key: SecretStr | None = None
    """Bearer key of the embedding server."""
    timeout: float = Field(30, gt=0)
    """Seconds for one call."""
    batch: int = Field(32, ge=1, le=512)
    """Texts gathered into one batch."""
    gather_ms: float = Field(2.0, ge=0, le=1000)
    """Milliseconds to wait for more texts before a batch starts."""


class RetrievalSettings(Section):
    lexical: bool = True
    """Fuse a lexical arm into dense recall, by reciprocal rank."""


class WorkerSettings(Section):
    banks: int = Field(16, ge=1, le=500)
    """Banks worked on at once by one process."""
    prefetch: int = Field(8, ge=1, le=100)
    """Turns of one bank whose facts are extracted side by side, ahead of deciding."""
    lease_seconds: float = Field(30, ge=1)
    """A worker that is silent for so long loses its bank to another."""
    poll_seconds: float = Field(5, gt=0)
    """Longest wait for work that no notification announced."""
    max_attempts: int = Field(5, ge=1, le=100)
    """Tries at a turn before it is `failed`."""
    backoff_seconds: float = Field(1.0, gt=0)
    """Wait before the second try; doubles with each, up to `max_backoff_seconds`, with jitter."""
    max_backoff_seconds: float = Field(300, gt=0)
    """Longest wait between tries."""


class WebhookSettings(Section):
    allow_private_addresses: bool = False
    """Let webhooks call loopback and private addresses, also without TLS. Leave it off where tenants are strangers."""
    timeout: float = Field(15, gt=0, le=60)
    """Seconds that a receiver has to answer."""
    concurrency: int = Field(100, ge=1, le=1000)
    """Webhooks sent at once by one process."""
    per_webhook: int = Field(4, ge=1, le=100)
    """Of them, to one receiver."""
    lease_seconds: float = Field(60, ge=1)
    """A delivery whose sender is silent for so long is sent again by another."""
    poll_seconds: float = Field(5, gt=0)
    """Longest wait for an event that no notification announced."""
    max_webhooks: int = Field(20, ge=1, le=200)
    """Webhooks of one tenant."""
    disable_after_days: float = Field(5, gt=0)
    """A webhook that failed for so long, without any success, is disabled."""
    keep_events_days: float = Field(7, gt=0)
    """How long events that wait for no delivery are kept, with the log of their deliveries."""

    @model_validator(mode="after")
    def _leases_outlast_attempts(self) -> Self:
        if self.lease_seconds <= self.timeout + 1:
            raise ValueError("lease_seconds must be more than timeout and one second")
        return self


class ChatSettings(Section):
    base_url: str | None = None
    """URL of the OpenAI-compatible server that `/v1/chat/completions` forwards to, up to and with `/v1`;
    `MEMORY_R1_LLM__BASE_URL` if unset."""
    api_key: SecretStr | None = None
    """Bearer key of that server; the one of `MEMORY_R1_LLM` is only sent to the server of `MEMORY_R1_LLM`."""
    models: list[str] = []
    """Models that clients may ask for, as a JSON list; the one of `MEMORY_R1_LLM` if empty."""
    aliases: dict[str, str] = {}
    """Further names that clients may use, each with the server's name for the model, as a JSON object."""
    timeout: float = Field(300, gt=0)
    """Seconds that the server may be silent."""
    concurrency: int = Field(64, ge=1, le=1000)
    """Chats under way at once in one process; beyond it they answer 429."""
    memories: int = Field(20, ge=0, le=60)
    """Memories that go into a prompt at most."""
    memory_characters: int = Field(4000, ge=500, le=100_000)
    """Characters that they take at most."""
    recall_seconds: float = Field(5, gt=0)
    """Seconds for finding them; after that a chat goes on without."""
    one_system_message: bool = False
    """Add memories to the end of the client's system message, for models that take no second one."""
    strict: bool = False
    """Answer with an error where the memory fails, instead of going on without it."""
    store_replies: bool = True
    """Store the assistant's replies as turns, beside what the user said."""
    user_speaker: str = Field("User", min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")
    """Speaker of what users say in messages without a `name`."""
    assistant_speaker: str = Field("Assistant", min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")
    """Speaker of the replies."""
    same_message_hours: float = Field(1, gt=0)
    """A message that is sent again within so long, after the same history, is taken for a retry, and after twice as
    long for a new one, unless the client names the conversation."""


class McpSettings(Section):
    allowed_origins: list[str] = []
    """Origins of web pages that may call `/mcp`, as a JSON list such as `["https://chat.example.com"]`. Pages of this
    machine may in any case where no key is required."""


class RequestSettings(Section):
    keep_hours: float = Field(72, gt=0)
    """How long an Idempotency-Key is remembered with its response."""


class TraceSettings(Section):
    store: bool = True
    """Keep each agent run (messages and reply), for provenance and training."""


class LogSettings(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe level that is logged."""
    json_lines: bool = False
    """One JSON object a line instead of plain text."""
    user_text: bool = False
    """Let lines hold what people said: texts of turns, and messages of exceptions, which may quote them."""


class TelemetrySettings(Section):
    metrics_port: int | None = Field(None, ge=0, le=65535)
    """Port on which each process serves `/metrics` to Prometheus, without a key; 0 takes a free one. Unset: no metrics
    are kept."""
    metrics_host: str = "127.0.0.1"
    """Address of that port. They tell of all tenants together: keep them from strangers."""
    queue_seconds: float = Field(10, ge=0, le=3600)
    """For how long what Postgres said of the queue is shown before it is asked again."""
    otlp_endpoint: str | None = Field(None, pattern=r"^https?://")
    """URL of an OpenTelemetry collector that takes OTLP over HTTP (for example `http://collector:4318`), to which
    traces are sent. Unset: no traces. Needs `pip install memory-r1[telemetry]`."""
    sample_ratio: float = Field(1.0, ge=0, le=1)
    """Share of the traces that are kept; a request that says itself whether its trace is kept is obeyed."""
    service_name: str = "memory-r1"
    """Name in traces."""
    record_text: bool = False
    """Put prompts and replies into the traces of model calls: all that people said and that is remembered of them."""


class LocalSettings(Section):
    data_dir: Path | None = None
    """Folder of the embedded default; `~/.local/share/memory-r1` (root: `/var/lib/memory-r1`) if unset."""
    model: str = "packaged:SmolLM2-135M-Instruct"
    """`packaged:SmolLM2-135M-Instruct` (comes from pip), a folder, or a name on the model hub."""
    policies: str = "packaged"
    """Trained adapters of the model: `packaged` (those that come with the service and its packaged model), `none`, or a
    folder with one folder a role (`extractor`, `manager`, `answerer`) where there is a policy for it."""
    max_batch: int = Field(8, ge=1, le=64)
    """Requests generated as one batch."""
    threads: int | None = Field(None, ge=1)
    """Threads of the model; half of the cores if unset."""
    max_tokens: int = Field(512, ge=32)
    """Tokens of a reply of the embedded model."""
    max_context: int = Field(8192, ge=1024)
    """Tokens of prompt and reply together."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="MEMORY_R1_",
        env_nested_delimiter="__",
        env_file=".env",
        # A compose file hands on what is left empty; an empty value is no value.
        env_ignore_empty=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    database: DatabaseSettings = DatabaseSettings()
    server: ServerSettings = ServerSettings()
    llm: LlmSettings = LlmSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    extractor: ExtractorOptions = ExtractorOptions()
    manager: ManagerOptions = ManagerOptions()
    answerer: AnswererOptions = AnswererOptions()
    worker: WorkerSettings = WorkerSettings()
    webhooks: WebhookSettings = WebhookSettings()
    chat: ChatSettings = ChatSettings()
    mcp: McpSettings = McpSettings()
    requests: RequestSettings = RequestSettings()
    traces: TraceSettings = TraceSettings()
    log: LogSettings = LogSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    local: LocalSettings = LocalSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What comes first counts. Files are read from the folder `MEMORY_R1_SECRETS_DIR`, named like the variables.

        Raises OSError where that folder is not there.
        """
        folder = os.environ.get(SECRETS_DIR)
        if not folder:
            return init_settings, env_settings, dotenv_settings
        if not Path(folder).is_dir():
            raise NotADirectoryError(f"{SECRETS_DIR} names {folder}, which is not a folder.")
        secrets = NestedSecretsSettingsSource(file_secret_settings, secrets_dir=folder)
        return init_settings, env_settings, dotenv_settings, secrets
