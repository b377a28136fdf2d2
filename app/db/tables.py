"""The tables. Every row with a tenant's data has the tenant in its key."""

from __future__ import annotations

from pgvector.sqlalchemy import HALFVEC, SPARSEVEC
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.core.lexical import DIMENSION

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)


def _moment(name: str, *, nullable: bool = False, now: bool = False) -> Column[object]:
    default = func.now() if now else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=default)


def _of_bank(*key: str) -> list[PrimaryKeyConstraint | ForeignKeyConstraint]:
    """A primary key under tenant and bank; a bank's rows go with it."""
    return [
        PrimaryKeyConstraint("tenant_id", "bank_id", *key),
        ForeignKeyConstraint(["tenant_id", "bank_id"], ["banks.tenant_id", "banks.id"], ondelete="CASCADE"),
    ]


def _bank_columns() -> list[Column[object]]:
    return [Column("tenant_id", Uuid, nullable=False), Column("bank_id", BigInteger, nullable=False)]


tenants = Table(
    "tenants",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _moment("created_at", now=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    _moment("created_at", now=True),
    _moment("revoked_at", nullable=True),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
)

banks = Table(
    "banks",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("name", Text, nullable=False),
    Column("turn_count", BigInteger, nullable=False, server_default=text("0")),
    Column("embedding_model", Text, nullable=False),
    Column("embedding_dimension", Integer, nullable=False),
    _moment("created_at", now=True),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "name"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
)

speakers = Table(
    "speakers",
    metadata,
    *_bank_columns(),
    Column("speaker", Text, nullable=False),
    Column("first_position", BigInteger, nullable=False),
    *_of_bank("speaker"),
)

ingestions = Table(
    "ingestions",
    metadata,
    *_bank_columns(),
    Column("id", Uuid, nullable=False),
    Column("turn_count", Integer, nullable=False),
    _moment("created_at", now=True),
    *_of_bank("id"),
)

turns = Table(
    "turns",
    metadata,
    *_bank_columns(),
    Column("id", Uuid, nullable=False),
    Column("ingestion_id", Uuid, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("speaker", Text, nullable=False),
    Column("text", Text, nullable=False),
    _moment("said_at"),
    Column("session", Text),
    Column("external_id", Text),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _moment("received_at", now=True),
    *_of_bank("id"),
    UniqueConstraint("tenant_id", "bank_id", "external_id"),
    UniqueConstraint("tenant_id", "bank_id", "position"),
)

inbox = Table(
    "inbox",
    metadata,
    *_bank_columns(),
    Column("position", BigInteger, nullable=False),
    Column("turn_id", Uuid, nullable=False),
    Column("ingestion_id", Uuid, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _moment("run_at", now=True),
    Column("error_type", Text),
    Column("error", Text),
    Column("extraction", JSONB),
    _moment("updated_at", now=True),
    *_of_bank("position"),
)
Index(
    "inbox_waiting_idx",
    inbox.c.tenant_id,
    inbox.c.bank_id,
    inbox.c.position,
    postgresql_where=inbox.c.state.in_(["queued", "retrying"]),
)
Index("inbox_ingestion_idx", inbox.c.tenant_id, inbox.c.bank_id, inbox.c.ingestion_id)

lanes = Table(
    "lanes",
    metadata,
    *_bank_columns(),
    _moment("run_at", nullable=True),
    Column("lease_owner", Uuid),
    _moment("lease_until", nullable=True),
    *_of_bank(),
)
Index("lanes_run_at_idx", lanes.c.run_at, postgresql_where=lanes.c.run_at.is_not(None))

memories = Table(
    "memories",
    metadata,
    *_bank_columns(),
    Column("id", Uuid, nullable=False),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("version", Integer, nullable=False),
    Column("live", Boolean, nullable=False, server_default=text("true")),
    Column("text", Text, nullable=False),
    Column("speaker", Text, nullable=False),
    _moment("said_at"),
    Column("sources", ARRAY(Uuid), nullable=False),
    Column("embedding", HALFVEC, nullable=False),
    Column("terms", SPARSEVEC(DIMENSION), nullable=False),
    _moment("created_at", now=True),
    _moment("updated_at", now=True),
    *_of_bank("id"),
)
Index(
    "memories_dense_idx",
    memories.c.tenant_id,
    memories.c.bank_id,
    postgresql_include=["seq", "id", "speaker", "embedding"],
    postgresql_where=memories.c.live,
)
Index(
    "memories_terms_idx",
    memories.c.tenant_id,
    memories.c.bank_id,
    postgresql_include=["seq", "id", "speaker", "terms"],
    postgresql_where=memories.c.live,
)
Index("memories_seq_idx", memories.c.tenant_id, memories.c.bank_id, memories.c.seq, postgresql_where=memories.c.live)

memory_versions = Table(
    "memory_versions",
    metadata,
    *_bank_columns(),
    Column("memory_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("speaker", Text, nullable=False),
    _moment("said_at"),
    Column("sources", ARRAY(Uuid), nullable=False),
    Column("embedding", HALFVEC, nullable=False),
    Column("terms", SPARSEVEC(DIMENSION), nullable=False),
    _moment("valid_from", now=True),
    _moment("valid_to", nullable=True),
    *_of_bank("memory_id", "version"),
)

operations = Table(
    "operations",
    metadata,
    *_bank_columns(),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("ingestion_id", Uuid, nullable=False),
    Column("turn_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("fact", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text),
    Column("fallback", Boolean, nullable=False, server_default=text("false")),
    Column("memory_id", Uuid),
    Column("version_before", Integer),
    Column("version_after", Integer),
    Column("text_before", Text),
    Column("text_after", Text),
    Column("policy", Text, nullable=False),
    Column("prompt_version", Text, nullable=False),
    _moment("created_at", now=True),
    *_of_bank("id"),
)
Index("operations_turn_idx", operations.c.tenant_id, operations.c.bank_id, operations.c.turn_id)
Index("operations_ingestion_idx", operations.c.tenant_id, operations.c.bank_id, operations.c.ingestion_id)

answers = Table(
    "answers",
    metadata,
    *_bank_columns(),
    Column("id", Uuid, nullable=False),
    Column("body", JSONB, nullable=False),
    _moment("created_at", now=True),
    *_of_bank("id"),
)

traces = Table(
    "traces",
    metadata,
    *_bank_columns(),
    Column("id", Uuid, nullable=False),
    Column("role", Text, nullable=False),
    Column("turn_id", Uuid),
    Column("answer_id", Uuid),
    Column("body", JSONB, nullable=False),
    _moment("created_at", now=True),
    *_of_bank("id"),
)
Index(
    "traces_turn_idx",
    traces.c.tenant_id,
    traces.c.bank_id,
    traces.c.turn_id,
    postgresql_where=traces.c.turn_id.is_not(None),
)
