"""The first schema.

Revision: 0001
Follows: nothing
Created: 2026-11-22
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

SCHEMA = """
CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE tenants (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT tenants_pkey PRIMARY KEY (id),
    CONSTRAINT tenants_name_key UNIQUE (name)
);

CREATE TABLE api_keys (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    digest BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT api_keys_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT api_keys_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT api_keys_digest_key UNIQUE (digest)
);

CREATE TABLE banks (
    tenant_id UUID NOT NULL,
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    name TEXT NOT NULL,
    turn_count BIGINT DEFAULT 0 NOT NULL,
    embedding_model TEXT NOT NULL,
    embedding_dimension INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT banks_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT banks_tenant_id_name_key UNIQUE (tenant_id, name),
    CONSTRAINT banks_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE TABLE answers (
    tenant_id UUID NOT NULL,
    bank_id BIGINT NOT NULL,
    id UUID NOT NULL,
    body JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT answers_pkey PRIMARY KEY (tenant_id, bank_id, id),
    CONSTRAINT answers_tenant_id_bank_id_fkey FOREIGN KEY(tenant_id, bank_id)
        REFERENCES banks (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE inbox (
    tenant_id UUID NOT NULL,
    bank_id BIGINT NOT NULL,
    position BIGINT NOT NULL,
    turn_id UUID NOT NULL,
    ingestion_id UUID NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    run_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    error_type TEXT,
    error TEXT,
    extraction JSONB,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT inbox_pkey PRIMARY KEY (tenant_id, bank_id, position),
    CONSTRAINT inbox_tenant_id_bank_id_fkey FOREIGN KEY(tenant_id, bank_id)
        REFERENCES banks (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX inbox_ingestion_idx ON inbox (tenant_id, bank_id, ingestion_id);
CREATE INDEX inbox_waiting_idx ON inbox (tenant_id, bank_id, position) WHERE state IN ('queued', 'retrying');

CREATE TABLE ingestions (
    tenant_id UUID NOT NULL,
    bank_id BIGINT NOT NULL,
    id UUID NOT NULL,
    turn_count INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT ingestions_pkey PRIMARY KEY (tenant_id, bank_id, id),
    CONSTRAINT ingestions_tenant_id_bank_id_fkey FOREIGN KEY(tenant_id, bank_id)
        REFERENCES banks (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE lanes (
    tenant_id UUID NOT NULL,
    bank_id BIGINT NOT NULL,
    run_at TIMESTAMP WITH TIME ZONE,
    lease_owner UUID,
    lease_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT lanes_pkey PRIMARY KEY (tenant_id, bank_id),
    CONSTRAINT lanes_tenant_id_bank_id_fkey FOREIGN KEY(tenant_id, bank_id)
        REFERENCES banks (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX lanes_run_at_idx ON lanes (run_at) WHERE run_at IS NOT NULL;

CREATE TABLE memories (
    tenant_id UUID NOT NULL,
    bank_id BIGINT NOT NULL,
    id UUID NOT NULL,
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    version INTEGER NOT NULL,
    live BOOLEAN DEFAULT true NOT NULL,
    text TEXT NOT NULL,
    speaker TEXT NOT NULL,
    said_at TIMESTAMP WITH TIME ZONE NOT NULL,
    sources UUID[] NOT NULL,
    embedding HALFVEC NOT NULL,
    terms SPARSEVEC(1048576) NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT memories_pkey PRIMARY KEY (tenant_id, bank_id, id),
    CONSTRAINT memories_tenant_id_bank_id_fkey FOREIGN KEY(tenant_id, bank_id)
        REFERENCES banks (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX memories_dense_idx ON memories (tenant_id, bank_id) INCLUDE (seq, id, speaker, embedding) WHERE live;
CREATE INDEX memories_seq_idx ON memories (tenant_id, bank_id, seq) WHERE live;
CREATE INDEX memories_terms_idx ON memories (tenant_id, bank_id) INCLUDE (seq, id, speaker, terms) WHERE live;

CREATE TABLE memory_versions (
    tenant_id UUID NOT NULL,
    bank_id BIGINT NOT NULL,
    memory_id UUID NOT NULL,
    version INTEGER NOT NULL,
    text TEXT NOT NULL,
    speaker TEXT NOT NULL,
    said_at TIMESTAMP WITH TIME ZONE NOT NULL,
    sources UUID[] NOT NULL,
    embedding HALFVEC NOT NULL,
    terms SPARSEVEC(1048576) NOT NULL,
    valid_from TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    valid_to TIMESTAMP WITH TIME ZONE,
    CONSTRAINT memory_versions_pkey PRIMARY KEY (tenant_id, bank_id, memory_id, version),
    CONSTRAINT memory_versions_tenant_id_bank_id_fkey FOREIGN KEY(tenant_id, bank_id)
        REFERENCES banks (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE operations (
    tenant_id UUID NOT NULL,
    bank_id BIGINT NOT NULL,
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    ingestion_id UUID NOT NULL,
    turn_id UUID NOT NULL,
    kind TEXT NOT NULL,
    fact TEXT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT,
    fallback BOOLEAN DEFAULT false NOT NULL,
    memory_id UUID,
    version_before INTEGER,
    version_after INTEGER,
    text_before TEXT,
    text_after TEXT,
    policy TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT operations_pkey PRIMARY KEY (tenant_id, bank_id, id),
    CONSTRAINT operations_tenant_id_bank_id_fkey FOREIGN KEY(tenant_id, bank_id)
        REFERENCES banks (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX operations_ingestion_idx ON operations (tenant_id, bank_id, ingestion_id);
CREATE INDEX operations_turn_idx ON operations (tenant_id, bank_id, turn_id);

CREATE TABLE speakers (
    tenant_id UUID NOT NULL,
    bank_id BIGINT NOT NULL,
    speaker TEXT NOT NULL,
    first_position BIGINT NOT NULL,
    CONSTRAINT speakers_pkey PRIMARY KEY (tenant_id, bank_id, speaker),
    CONSTRAINT speakers_tenant_id_bank_id_fkey FOREIGN KEY(tenant_id, bank_id)
        REFERENCES banks (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE traces (
    tenant_id UUID NOT NULL,
    bank_id BIGINT NOT NULL,
    id UUID NOT NULL,
    role TEXT NOT NULL,
    turn_id UUID,
    answer_id UUID,
    body JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT traces_pkey PRIMARY KEY (tenant_id, bank_id, id),
    CONSTRAINT traces_tenant_id_bank_id_fkey FOREIGN KEY(tenant_id, bank_id)
        REFERENCES banks (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX traces_turn_idx ON traces (tenant_id, bank_id, turn_id) WHERE turn_id IS NOT NULL;

CREATE TABLE turns (
    tenant_id UUID NOT NULL,
    bank_id BIGINT NOT NULL,
    id UUID NOT NULL,
    ingestion_id UUID NOT NULL,
    position BIGINT NOT NULL,
    speaker TEXT NOT NULL,
    text TEXT NOT NULL,
    said_at TIMESTAMP WITH TIME ZONE NOT NULL,
    session TEXT,
    external_id TEXT,
    metadata JSONB DEFAULT '{}'::jsonb NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT turns_pkey PRIMARY KEY (tenant_id, bank_id, id),
    CONSTRAINT turns_tenant_id_bank_id_fkey FOREIGN KEY(tenant_id, bank_id)
        REFERENCES banks (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT turns_tenant_id_bank_id_external_id_key UNIQUE (tenant_id, bank_id, external_id),
    CONSTRAINT turns_tenant_id_bank_id_position_key UNIQUE (tenant_id, bank_id, position)
);

-- The heap is read for every memory that is found; a vector moved out of line would cost a second look-up each.
ALTER TABLE memories ALTER COLUMN embedding SET STORAGE PLAIN;
-- Search stays index-only where the visibility map is fresh.
ALTER TABLE memories SET (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.02);
"""

TABLES = (
    "traces answers operations memory_versions memories lanes inbox turns ingestions speakers banks api_keys tenants"
)


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    for table in TABLES.split():
        op.execute(f"DROP TABLE {table}")
