"""Telemetry: which request a waiting turn came with, and how much waits in all.

Revision: 0005
Follows: 0004
Created: 2026-11-23
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

SERVICE, DISPATCH = "memory_r1_service", "memory_r1_dispatch"
# Columns alone, and none with a text: the function counts, and nothing else can be asked through it.
READ = {"inbox": "tenant_id, bank_id, position, state", "turns": "tenant_id, bank_id, position, received_at"}

# Both go by the index of what waits, so that it costs as much as waits, however much was worked off. Turns of a bank
# were received in the order of their positions.
QUEUE = """
CREATE FUNCTION memory_r1_queue()
RETURNS TABLE (queued BIGINT, retrying BIGINT, oldest_seconds DOUBLE PRECISION, deliveries BIGINT)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    SELECT waiting.queued, waiting.retrying, coalesce(extract(epoch FROM clock_timestamp() - oldest.received_at), 0),
        (SELECT count(*) FROM public.deliveries WHERE state = 'waiting')
    FROM (
        SELECT count(*) FILTER (WHERE state = 'queued') AS queued,
            count(*) FILTER (WHERE state = 'retrying') AS retrying
        FROM public.inbox WHERE state IN ('queued', 'retrying')
    ) AS waiting, (
        SELECT min(turns.received_at) AS received_at FROM public.lanes, LATERAL (
            SELECT position FROM public.inbox
            WHERE inbox.tenant_id = lanes.tenant_id AND inbox.bank_id = lanes.bank_id
                AND state IN ('queued', 'retrying')
            ORDER BY position LIMIT 1
        ) AS first JOIN public.turns ON turns.position = first.position
        WHERE turns.tenant_id = lanes.tenant_id AND turns.bank_id = lanes.bank_id AND lanes.run_at IS NOT NULL
    ) AS oldest
$body$
"""


def upgrade() -> None:
    op.execute("ALTER TABLE inbox ADD COLUMN traceparent TEXT")
    for table, columns in READ.items():
        op.execute(f"GRANT SELECT ({columns}) ON {table} TO {DISPATCH}")
        op.execute(f"CREATE POLICY dispatch ON {table} TO {DISPATCH} USING (true) WITH CHECK (true)")
    op.execute(f"GRANT CREATE ON SCHEMA public TO {DISPATCH}")
    op.execute(QUEUE)
    op.execute("REVOKE ALL ON FUNCTION memory_r1_queue FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION memory_r1_queue TO {SERVICE}")
    op.execute(f"ALTER FUNCTION memory_r1_queue OWNER TO {DISPATCH}")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {DISPATCH}")


def downgrade() -> None:
    op.execute("DROP FUNCTION memory_r1_queue")
    for table, columns in READ.items():
        op.execute(f"DROP POLICY dispatch ON {table}")
        op.execute(f"REVOKE SELECT ({columns}) ON {table} FROM {DISPATCH}")
    op.execute("ALTER TABLE inbox DROP COLUMN traceparent")
