"""Policies: models that were trained for a role, and which of them replies; of the deployment, not of a tenant.

The service reads them. Who changes them is the owner of the tables, by the command line.

Revision: 0004
Follows: 0003
Created: 2026-11-22
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = """
CREATE TABLE policies (
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    model TEXT NOT NULL,
    folder TEXT,
    stamp JSONB NOT NULL,
    added_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT policies_pkey PRIMARY KEY (name)
);

CREATE TABLE promotions (
    number BIGINT GENERATED ALWAYS AS IDENTITY,
    role TEXT NOT NULL,
    policy TEXT,
    returns_to BIGINT,
    promoted_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT promotions_pkey PRIMARY KEY (number)
);
CREATE INDEX promotions_role_idx ON promotions (role, number);

GRANT SELECT ON policies, promotions TO memory_r1_service;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE promotions")
    op.execute("DROP TABLE policies")
