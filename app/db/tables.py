"""The tables. Every row with a tenant's data has the tenant in its key; `DEPLOYMENT_WIDE` tables hold no such data."""

from __future__ import annotations

from pgvector.sqlalchemy import HALFVEC, SPARSEVEC
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
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


def _of_tenant(*key: str) -> list[PrimaryKeyConstraint | ForeignKeyConstraint]:
    """A primary key under the tenant, with whom its rows go."""
    return [
        PrimaryKeyConstraint("tenant_id", *key),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
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
    Column("scope", Text, nullable=False, server_default="admin"),
    Column("banks", ARRAY(Text)),
    _moment("expires_at", nullable=True),
    Column("rotated_to", Uuid),
    # The key that it was rotated from, whose use it goes on with; null: its own.
    Column("counted_as", Uuid),
    Column("requests_per_minute", Integer),
    Column("turns_per_day", Integer),
    Column("questions_per_day", Integer),
    *_of_tenant("id"),
)

key_usage = Table(
    "key_usage",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("key_id", Uuid, nullable=False),
    _moment("ready_at", now=True),
    Column("day", Date, nullable=False, server_default=func.current_date()),
    Column("turns", Integer, nullable=False, server_default=text("0")),
    Column("questions", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("tenant_id", "key_id"),
    ForeignKeyConstraint(["tenant_id", "key_id"], ["api_keys.tenant_id", "api_keys.id"], ondelete="CASCADE"),
)

banks = Table(
    "banks",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("name", Text, nullable=False),
    Column("turn_count", BigInteger, nullable=False, server_default=text("0")),
    Column("last_position", BigInteger, nullable=False, server_default=text("0")),
    Column("on_failure", Text, nullable=False, server_default="set_aside"),
    Column("embedding_model", Text, nullable=False),
    Column("embedding_dimension", Integer, nullable=False),
    _moment("created_at", now=True),
    *_of_tenant("id"),
    UniqueConstraint("tenant_id", "name"),
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
    # Of the request that it came with, by W3C Trace Context; null where no trace was kept.
    Column("traceparent", Text),
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
    Column("blocked_by", BigInteger),
    _moment("written_at", now=True),
    Column("last_operation", BigInteger, nullable=False, server_default=text("0")),
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
    Column("restores", Integer),
    *_of_bank("memory_id", "version"),
)

operations = Table(
    "operations",
    metadata,
    *_bank_columns(),
    Column("number", BigInteger, nullable=False),
    Column("origin", Text, nullable=False, server_default="worker"),
    Column("ingestion_id", Uuid),
    Column("turn_id", Uuid),
    Column("key_id", Uuid),
    Column("kind", Text, nullable=False),
    Column("fact", Text),
    Column("verdict", Text, nullable=False),
    Column("reason", Text),
    Column("reasoning", Text),
    Column("fallback", Boolean, nullable=False, server_default=text("false")),
    Column("shown", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("memory_id", Uuid),
    Column("version_before", Integer),
    Column("version_after", Integer),
    Column("text_before", Text),
    Column("text_after", Text),
    Column("policy", Text),
    Column("prompt_version", Text),
    Column("undoes", BigInteger),
    Column("undone_by", BigInteger),
    _moment("erased_at", nullable=True),
    _moment("created_at", now=True),
    *_of_bank("number"),
)
Index("operations_turn_idx", operations.c.tenant_id, operations.c.bank_id, operations.c.turn_id)
Index("operations_ingestion_idx", operations.c.tenant_id, operations.c.bank_id, operations.c.ingestion_id)
Index(
    "operations_memory_idx",
    operations.c.tenant_id,
    operations.c.bank_id,
    operations.c.memory_id,
    operations.c.number,
)

answers = Table(
    "answers",
    metadata,
    *_bank_columns(),
    Column("id", Uuid, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("memory_ids", ARRAY(Uuid), nullable=False, server_default=text("'{}'::uuid[]")),
    Column("distilled_ids", ARRAY(Uuid), nullable=False, server_default=text("'{}'::uuid[]")),
    Column("turn_ids", ARRAY(Uuid), nullable=False, server_default=text("'{}'::uuid[]")),
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
    # Whose text the messages hold; null: not known, so perhaps anybody's.
    Column("turn_ids", ARRAY(Uuid)),
    Column("memory_ids", ARRAY(Uuid)),
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

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    # A digest of the bank's name, which may be a person's and outlast the bank; empty for what is the whole tenant's.
    Column("scope", Text, nullable=False, server_default=""),
    Column("key", Text, nullable=False),
    Column("bank_id", BigInteger),
    Column("digest", LargeBinary, nullable=False),
    Column("body", JSONB),
    Column("holds_text", Boolean, nullable=False, server_default=text("false")),
    _moment("created_at", now=True),
    *_of_tenant("scope", "key"),
    ForeignKeyConstraint(["tenant_id", "bank_id"], ["banks.tenant_id", "banks.id"], ondelete="CASCADE"),
)
Index("idempotency_keys_created_at_idx", idempotency_keys.c.created_at)
Index("idempotency_keys_bank_idx", idempotency_keys.c.tenant_id, idempotency_keys.c.bank_id)

erasures = Table(
    "erasures",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("digest", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    _moment("created_at", now=True),
    *_of_tenant("digest"),
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("key_id", Uuid),
    Column("action", Text, nullable=False),
    Column("target", Text),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _moment("created_at", now=True),
    *_of_tenant("id"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("banks", ARRAY(Text)),
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text),
    _moment("previous_until", nullable=True),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("disabled_reason", Text),
    _moment("failing_since", nullable=True),
    _moment("created_at", now=True),
    *_of_tenant("id"),
)

events = Table(
    "events",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("bank_id", BigInteger),
    Column("type", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    _moment("created_at", now=True),
    *_of_tenant("id"),
    ForeignKeyConstraint(["tenant_id", "bank_id"], ["banks.tenant_id", "banks.id"], ondelete="CASCADE"),
)
Index("events_bank_idx", events.c.tenant_id, events.c.bank_id)
Index("events_created_at_idx", events.c.created_at)

deliveries = Table(
    "deliveries",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("webhook_id", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("run_at", DateTime(timezone=True), server_default=func.now()),
    Column("attempts", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    _moment("created_at", now=True),
    PrimaryKeyConstraint("tenant_id", "webhook_id", "event_id"),
    ForeignKeyConstraint(["tenant_id", "webhook_id"], ["webhooks.tenant_id", "webhooks.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["tenant_id", "event_id"], ["events.tenant_id", "events.id"], ondelete="CASCADE"),
)
Index("deliveries_event_idx", deliveries.c.tenant_id, deliveries.c.event_id)
Index("deliveries_run_at_idx", deliveries.c.run_at, postgresql_where=deliveries.c.state == "waiting")
Index(
    "deliveries_waiting_idx",
    deliveries.c.tenant_id,
    deliveries.c.webhook_id,
    deliveries.c.run_at,
    postgresql_where=deliveries.c.state == "waiting",
)

policies = Table(
    "policies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("folder", Text),
    Column("stamp", JSONB, nullable=False),
    _moment("added_at", now=True),
)

promotions = Table(
    "promotions",
    metadata,
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    Column("role", Text, nullable=False),
    # Null: the configured model.
    Column("policy", Text),
    # The promotion that a rollback goes back to; null: the configured model.
    Column("returns_to", BigInteger),
    _moment("promoted_at", now=True),
)
Index("promotions_role_idx", promotions.c.role, promotions.c.number)

DEPLOYMENT_WIDE = frozenset({"policies", "promotions"})
