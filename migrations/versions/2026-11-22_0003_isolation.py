"""Row-level security: the service's role owns nothing and sees the rows of the one tenant that is set.

What has to look across tenants - whose key is this, which bank has work - is a function of a second role, which may
read just the tables that it needs; the service may call it and sees what it returns.

Revision: 0003
Follows: 0002
Created: 2026-11-22
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = (
    "api_keys key_usage banks speakers ingestions turns inbox lanes memories memory_versions operations answers traces "
    "idempotency_keys erasures audit_events webhooks events deliveries"
).split()
APPEND_ONLY = {"audit_events", "erasures"}
TENANT = "NULLIF(current_setting('memory_r1.tenant', true), '')::uuid"
SERVICE, DISPATCH = "memory_r1_service", "memory_r1_dispatch"

# Roles belong to the cluster: another database may have made them, at this very moment.
ROLE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} NOLOGIN NOBYPASSRLS;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
    IF NOT pg_has_role(current_user, '{role}', 'SET') THEN
        GRANT {role} TO CURRENT_USER WITH SET TRUE;
    END IF;
END $$;
"""

DISPATCHED = {
    "tenants": "SELECT",
    "api_keys": "SELECT",
    "banks": "SELECT",
    "lanes": "SELECT, UPDATE",
    "deliveries": "SELECT, UPDATE",
    "idempotency_keys": "SELECT, UPDATE, DELETE",
    "events": "SELECT, UPDATE, DELETE",
}
"""What the functions that look across tenants may do."""

FUNCTIONS = {
    "memory_r1_find_tenant(wanted TEXT) RETURNS UUID": """
        SELECT id FROM public.tenants WHERE name = wanted
    """,
    "memory_r1_find_key(wanted BYTEA) RETURNS SETOF public.api_keys": """
        SELECT * FROM public.api_keys
        WHERE digest = wanted AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
    """,
    "memory_r1_other_embedding(model TEXT, dimension INTEGER) "
    "RETURNS TABLE (stored TEXT, stored_dimension INTEGER)": """
        SELECT embedding_model, embedding_dimension FROM public.banks
        WHERE embedding_model <> model OR embedding_dimension <> dimension LIMIT 1
    """,
    "memory_r1_claim(owner UUID, seconds DOUBLE PRECISION, most INTEGER) "
    "RETURNS TABLE (tenant_id UUID, bank_id BIGINT)": """
        WITH due AS MATERIALIZED (
            SELECT tenant_id, bank_id FROM public.lanes
            -- now(), unlike the clock, bounds the scan of the index: lanes that are due later are not looked at.
            WHERE run_at <= now() AND blocked_by IS NULL
                AND (lease_until IS NULL OR lease_until < clock_timestamp())
            ORDER BY run_at LIMIT most FOR UPDATE SKIP LOCKED
        )
        UPDATE public.lanes SET lease_owner = owner, lease_until = clock_timestamp() + make_interval(secs => seconds)
        FROM due WHERE lanes.tenant_id = due.tenant_id AND lanes.bank_id = due.bank_id
        RETURNING lanes.tenant_id, lanes.bank_id
    """,
    "memory_r1_next_due() RETURNS DOUBLE PRECISION": """
        SELECT extract(epoch FROM min(greatest(run_at, coalesce(lease_until, run_at))) - clock_timestamp())
        FROM public.lanes WHERE run_at IS NOT NULL AND blocked_by IS NULL
    """,
    "memory_r1_free_lanes() RETURNS VOID": """
        UPDATE public.lanes SET lease_owner = NULL, lease_until = NULL WHERE lease_owner IS NOT NULL
    """,
    # A few of each webhook, however many it has waiting: from one webhook to the next by the index, and by time, which
    # an index is searched for only where it stands still. `sending` names the webhook of each delivery that the caller
    # has under way.
    "memory_r1_claim_deliveries(seconds DOUBLE PRECISION, most INTEGER, of_each INTEGER, sending UUID[]) "
    "RETURNS TABLE (tenant_id UUID, webhook_id UUID, event_id UUID)": """
        WITH RECURSIVE receivers AS (
            (
                SELECT tenant_id, webhook_id FROM public.deliveries
                WHERE state = 'waiting' ORDER BY tenant_id, webhook_id LIMIT 1
            )
            UNION ALL
            SELECT following.tenant_id, following.webhook_id FROM receivers, LATERAL (
                SELECT tenant_id, webhook_id FROM public.deliveries
                WHERE state = 'waiting' AND (tenant_id, webhook_id) > (receivers.tenant_id, receivers.webhook_id)
                ORDER BY tenant_id, webhook_id LIMIT 1
            ) AS following
        ), due AS MATERIALIZED (
            SELECT one.* FROM receivers, LATERAL (
                SELECT tenant_id, webhook_id, event_id, run_at FROM public.deliveries
                WHERE tenant_id = receivers.tenant_id AND webhook_id = receivers.webhook_id
                    AND state = 'waiting' AND run_at <= now()
                ORDER BY run_at
                LIMIT greatest(0, of_each - cardinality(array_positions(sending, receivers.webhook_id)))
                FOR UPDATE SKIP LOCKED
            ) AS one
        ), chosen AS (
            SELECT * FROM due ORDER BY row_number() OVER (PARTITION BY tenant_id ORDER BY run_at), run_at LIMIT most
        )
        UPDATE public.deliveries SET run_at = clock_timestamp() + make_interval(secs => seconds)
        FROM chosen WHERE deliveries.tenant_id = chosen.tenant_id AND deliveries.webhook_id = chosen.webhook_id
            AND deliveries.event_id = chosen.event_id
        RETURNING deliveries.tenant_id, deliveries.webhook_id, deliveries.event_id
    """,
    "memory_r1_next_delivery() RETURNS DOUBLE PRECISION": """
        SELECT extract(epoch FROM min(run_at) - clock_timestamp()) FROM public.deliveries
        WHERE state = 'waiting' AND run_at > now()
    """,
    "memory_r1_forget(requests_before TIMESTAMPTZ, events_before TIMESTAMPTZ, most INTEGER) RETURNS BIGINT": """
        WITH old_requests AS MATERIALIZED (
            SELECT tenant_id, scope, key FROM public.idempotency_keys WHERE created_at < requests_before
            ORDER BY created_at LIMIT most FOR UPDATE SKIP LOCKED
        ), requests AS (
            DELETE FROM public.idempotency_keys USING old_requests
            WHERE idempotency_keys.tenant_id = old_requests.tenant_id
                AND idempotency_keys.scope = old_requests.scope AND idempotency_keys.key = old_requests.key
            RETURNING 1
        ), old_events AS MATERIALIZED (
            SELECT tenant_id, id FROM public.events WHERE created_at < events_before AND NOT EXISTS (
                SELECT FROM public.deliveries
                WHERE deliveries.tenant_id = events.tenant_id AND deliveries.event_id = events.id AND state = 'waiting'
            ) ORDER BY created_at LIMIT most FOR UPDATE SKIP LOCKED
        ), told AS (
            DELETE FROM public.events USING old_events
            WHERE events.tenant_id = old_events.tenant_id AND events.id = old_events.id RETURNING 1
        )
        SELECT (SELECT count(*) FROM requests) + (SELECT count(*) FROM told)
    """,
}


def upgrade() -> None:
    for role in (SERVICE, DISPATCH):
        op.execute(ROLE.format(role=role))
    op.execute(f"GRANT USAGE ON SCHEMA public TO {SERVICE}, {DISPATCH}")
    op.execute(f"GRANT SELECT ON alembic_version TO {SERVICE}")
    for table in TABLES:
        rights = "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
        _isolate(table, "tenant_id", rights)
    _isolate("tenants", "id", "SELECT, INSERT")
    for table, rights in DISPATCHED.items():
        op.execute(f"GRANT {rights} ON {table} TO {DISPATCH}")
        op.execute(f"CREATE POLICY dispatch ON {table} TO {DISPATCH} USING (true) WITH CHECK (true)")
    # Who gives a function away needs the receiver's right to create in its schema, for that moment.
    op.execute(f"GRANT CREATE ON SCHEMA public TO {DISPATCH}")
    for signature, body in FUNCTIONS.items():
        _define(signature, body)
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {DISPATCH}")


def _isolate(table: str, column: str, rights: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {table} TO {SERVICE} USING ({column} = {TENANT}) WITH CHECK ({column} = {TENANT})"
    )
    op.execute(f"GRANT {rights} ON {table} TO {SERVICE}")


def _define(signature: str, body: str) -> None:
    name = signature.partition("(")[0]
    op.execute(
        f"CREATE FUNCTION {signature} LANGUAGE sql VOLATILE SECURITY DEFINER "
        f"SET search_path = pg_catalog, pg_temp AS $body${body}$body$"
    )
    op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO {SERVICE}")
    op.execute(f"ALTER FUNCTION {name} OWNER TO {DISPATCH}")


def downgrade() -> None:
    for signature in FUNCTIONS:
        op.execute(f"DROP FUNCTION {signature.partition('(')[0]}")
    for table in DISPATCHED:
        op.execute(f"DROP POLICY dispatch ON {table}")
        op.execute(f"REVOKE ALL ON {table} FROM {DISPATCH}")
    for table in [*TABLES, "tenants"]:
        op.execute(f"DROP POLICY tenant ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"REVOKE ALL ON {table} FROM {SERVICE}")
    op.execute(f"REVOKE SELECT ON alembic_version FROM {SERVICE}")
    # The roles stay: other databases of the cluster may use them.
    op.execute(f"REVOKE USAGE ON SCHEMA public FROM {SERVICE}, {DISPATCH}")
