"""An operation log numbered by bank, undo, erasure, idempotency, scopes of keys, webhooks.

Revision: 0002
Follows: 0001
Created: 2026-11-22
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

CHANGED = """
ALTER TABLE api_keys
    ADD COLUMN scope TEXT DEFAULT 'admin' NOT NULL,
    ADD COLUMN banks TEXT[],
    ADD COLUMN expires_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN rotated_to UUID,
    ADD COLUMN counted_as UUID,
    ADD COLUMN requests_per_minute INTEGER,
    ADD COLUMN turns_per_day INTEGER,
    ADD COLUMN questions_per_day INTEGER;

ALTER TABLE banks
    ADD COLUMN last_position BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN on_failure TEXT DEFAULT 'set_aside' NOT NULL;
UPDATE banks SET last_position = turn_count;

ALTER TABLE lanes
    ADD COLUMN blocked_by BIGINT,
    ADD COLUMN written_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ADD COLUMN last_operation BIGINT DEFAULT 0 NOT NULL;
INSERT INTO lanes (tenant_id, bank_id) SELECT tenant_id, id FROM banks ON CONFLICT DO NOTHING;

ALTER TABLE memory_versions ADD COLUMN restores INTEGER;

-- Numbered by bank, without gaps: the log can be checked, and goes along when a bank moves to another database.
ALTER TABLE operations
    ALTER COLUMN id DROP IDENTITY,
    ALTER COLUMN ingestion_id DROP NOT NULL,
    ALTER COLUMN turn_id DROP NOT NULL,
    ALTER COLUMN fact DROP NOT NULL,
    ALTER COLUMN policy DROP NOT NULL,
    ALTER COLUMN prompt_version DROP NOT NULL,
    ADD COLUMN origin TEXT DEFAULT 'worker' NOT NULL,
    ADD COLUMN key_id UUID,
    ADD COLUMN reasoning TEXT,
    ADD COLUMN shown JSONB DEFAULT '[]'::jsonb NOT NULL,
    ADD COLUMN undoes BIGINT,
    ADD COLUMN undone_by BIGINT,
    ADD COLUMN erased_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE operations RENAME COLUMN id TO number;
ALTER TABLE operations DROP CONSTRAINT operations_pkey;
UPDATE operations SET number = numbered.place FROM (
    SELECT tenant_id, bank_id, number, row_number() OVER (PARTITION BY tenant_id, bank_id ORDER BY number) AS place
    FROM operations
) AS numbered
WHERE operations.tenant_id = numbered.tenant_id AND operations.bank_id = numbered.bank_id
    AND operations.number = numbered.number;
ALTER TABLE operations ADD CONSTRAINT operations_pkey PRIMARY KEY (tenant_id, bank_id, number);
CREATE INDEX operations_memory_idx ON operations (tenant_id, bank_id, memory_id, number);
UPDATE lanes SET last_operation = logged.last, written_at = now() FROM (
    SELECT tenant_id, bank_id, max(number) AS last FROM operations GROUP BY tenant_id, bank_id
) AS logged
WHERE lanes.tenant_id = logged.tenant_id AND lanes.bank_id = logged.bank_id;

ALTER TABLE answers
    ADD COLUMN memory_ids UUID[] DEFAULT '{}'::uuid[] NOT NULL,
    ADD COLUMN distilled_ids UUID[] DEFAULT '{}'::uuid[] NOT NULL,
    ADD COLUMN turn_ids UUID[] DEFAULT '{}'::uuid[] NOT NULL;
UPDATE answers SET
    memory_ids = ARRAY(SELECT (one->>'id')::uuid FROM jsonb_array_elements(body->'candidates') AS one),
    distilled_ids = ARRAY(SELECT (one->>'id')::uuid FROM jsonb_array_elements(body->'memories') AS one),
    turn_ids = ARRAY(
        SELECT DISTINCT source::uuid
        FROM jsonb_array_elements(body->'candidates') AS one, jsonb_array_elements_text(one->'sources') AS source
    );

-- Null in rows of before: whose text they hold is not known.
ALTER TABLE traces ADD COLUMN turn_ids UUID[], ADD COLUMN memory_ids UUID[];
"""

ADDED = """
CREATE TABLE key_usage (
    tenant_id UUID NOT NULL,
    key_id UUID NOT NULL,
    ready_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    day DATE DEFAULT CURRENT_DATE NOT NULL,
    turns INTEGER DEFAULT 0 NOT NULL,
    questions INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT key_usage_pkey PRIMARY KEY (tenant_id, key_id),
    CONSTRAINT key_usage_tenant_id_key_id_fkey FOREIGN KEY(tenant_id, key_id)
        REFERENCES api_keys (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE idempotency_keys (
    tenant_id UUID NOT NULL,
    scope TEXT DEFAULT '' NOT NULL,
    key TEXT NOT NULL,
    bank_id BIGINT,
    digest BYTEA NOT NULL,
    body JSONB,
    holds_text BOOLEAN DEFAULT false NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, scope, key),
    CONSTRAINT idempotency_keys_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT idempotency_keys_tenant_id_bank_id_fkey FOREIGN KEY(tenant_id, bank_id)
        REFERENCES banks (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idempotency_keys_bank_idx ON idempotency_keys (tenant_id, bank_id);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);

CREATE TABLE erasures (
    tenant_id UUID NOT NULL,
    digest TEXT NOT NULL,
    body JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT erasures_pkey PRIMARY KEY (tenant_id, digest),
    CONSTRAINT erasures_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE TABLE audit_events (
    tenant_id UUID NOT NULL,
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    key_id UUID,
    action TEXT NOT NULL,
    target TEXT,
    detail JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT audit_events_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT audit_events_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE TABLE webhooks (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    url TEXT NOT NULL,
    events TEXT[] NOT NULL,
    banks TEXT[],
    secret TEXT NOT NULL,
    previous_secret TEXT,
    previous_until TIMESTAMP WITH TIME ZONE,
    enabled BOOLEAN DEFAULT true NOT NULL,
    disabled_reason TEXT,
    failing_since TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT webhooks_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhooks_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE TABLE events (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    bank_id BIGINT,
    type TEXT NOT NULL,
    body JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT events_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT events_tenant_id_bank_id_fkey FOREIGN KEY(tenant_id, bank_id)
        REFERENCES banks (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX events_bank_idx ON events (tenant_id, bank_id);
CREATE INDEX events_created_at_idx ON events (created_at);

CREATE TABLE deliveries (
    tenant_id UUID NOT NULL,
    webhook_id UUID NOT NULL,
    event_id UUID NOT NULL,
    state TEXT DEFAULT 'waiting' NOT NULL,
    run_at TIMESTAMP WITH TIME ZONE DEFAULT now(),
    attempts JSONB DEFAULT '[]'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT deliveries_pkey PRIMARY KEY (tenant_id, webhook_id, event_id),
    CONSTRAINT deliveries_tenant_id_webhook_id_fkey FOREIGN KEY(tenant_id, webhook_id)
        REFERENCES webhooks (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT deliveries_tenant_id_event_id_fkey FOREIGN KEY(tenant_id, event_id)
        REFERENCES events (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX deliveries_event_idx ON deliveries (tenant_id, event_id);
CREATE INDEX deliveries_run_at_idx ON deliveries (run_at) WHERE state = 'waiting';
CREATE INDEX deliveries_waiting_idx ON deliveries (tenant_id, webhook_id, run_at) WHERE state = 'waiting';
"""

REMOVED = """
DROP TABLE deliveries, events, webhooks, audit_events, erasures, idempotency_keys, key_usage;
ALTER TABLE traces DROP COLUMN turn_ids, DROP COLUMN memory_ids;
ALTER TABLE answers DROP COLUMN memory_ids, DROP COLUMN distilled_ids, DROP COLUMN turn_ids;

-- What the first schema has no words for: lines of the log that came from no turn.
DELETE FROM operations WHERE ingestion_id IS NULL OR turn_id IS NULL OR policy IS NULL OR prompt_version IS NULL;
DROP INDEX operations_memory_idx;
UPDATE operations SET fact = '' WHERE fact IS NULL;
ALTER TABLE operations DROP CONSTRAINT operations_pkey;
UPDATE operations SET number = numbered.place FROM (
    SELECT tenant_id, bank_id, number, row_number() OVER (ORDER BY created_at, tenant_id, bank_id, number) AS place
    FROM operations
) AS numbered
WHERE operations.tenant_id = numbered.tenant_id AND operations.bank_id = numbered.bank_id
    AND operations.number = numbered.number;
ALTER TABLE operations RENAME COLUMN number TO id;
ALTER TABLE operations
    ADD CONSTRAINT operations_pkey PRIMARY KEY (tenant_id, bank_id, id),
    ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY,
    ALTER COLUMN ingestion_id SET NOT NULL,
    ALTER COLUMN turn_id SET NOT NULL,
    ALTER COLUMN fact SET NOT NULL,
    ALTER COLUMN policy SET NOT NULL,
    ALTER COLUMN prompt_version SET NOT NULL,
    DROP COLUMN origin, DROP COLUMN key_id, DROP COLUMN reasoning, DROP COLUMN shown,
    DROP COLUMN undoes, DROP COLUMN undone_by, DROP COLUMN erased_at;
SELECT setval(pg_get_serial_sequence('operations', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM operations), false);

ALTER TABLE memory_versions DROP COLUMN restores;
UPDATE lanes SET run_at = now() WHERE blocked_by IS NOT NULL;
ALTER TABLE lanes DROP COLUMN blocked_by, DROP COLUMN written_at, DROP COLUMN last_operation;
UPDATE banks SET turn_count = last_position;
ALTER TABLE banks DROP COLUMN last_position, DROP COLUMN on_failure;
ALTER TABLE api_keys
    DROP COLUMN scope, DROP COLUMN banks, DROP COLUMN expires_at, DROP COLUMN rotated_to, DROP COLUMN counted_as,
    DROP COLUMN requests_per_minute, DROP COLUMN turns_per_day, DROP COLUMN questions_per_day;
"""

# What users said must not live on in the planner's statistics, which keep samples of it and outlast an erasure.
HOLD_TEXT = {
    "speakers": "speaker",
    "turns": "speaker text session external_id metadata",
    "inbox": "error extraction",
    "memories": "text speaker embedding terms",
    "memory_versions": "text speaker embedding terms",
    "operations": "fact reason reasoning text_before text_after",
    "answers": "body",
    "traces": "body",
}
ADDED_WITH_TEXT = {"idempotency_keys": "key body", "events": "body", "banks": "name"}


def upgrade() -> None:
    _execute(CHANGED)
    _execute(ADDED)
    _set_statistics({**HOLD_TEXT, **ADDED_WITH_TEXT}, 0)


def downgrade() -> None:
    _set_statistics({**HOLD_TEXT, "banks": "name"}, -1)
    _execute(REMOVED)


def _set_statistics(columns: dict[str, str], target: int) -> None:
    for table, names in columns.items():
        changed = ", ".join(f"ALTER COLUMN {name} SET STATISTICS {target}" for name in names.split())
        op.execute(f"ALTER TABLE {table} {changed}")


def _execute(script: str) -> None:
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
