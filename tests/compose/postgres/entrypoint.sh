#!/bin/bash
# What the official image does with its variables, as far as docker-compose.yml uses them.
set -euo pipefail

if [ -n "${POSTGRES_PASSWORD:-}" ] && [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    echo "POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE exclude each other" >&2
    exit 1
fi
password=${POSTGRES_PASSWORD:-}
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then password=$(cat "$POSTGRES_PASSWORD_FILE"); fi

mkdir -p /run/postgresql
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ -z "$password" ]; then
        echo "The database is not made yet, and POSTGRES_PASSWORD is empty" >&2
        exit 1
    fi
    # shellcheck disable=SC2086  # several arguments
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$password") --auth-local=trust --auth-host=scram-sha-256 \
        ${POSTGRES_INITDB_ARGS:-} >/dev/null
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    # On its socket alone until the database is there.
    pg_ctl --silent --wait -o "-c listen_addresses='' -c unix_socket_directories=/run/postgresql" start
    createdb --username="$POSTGRES_USER" --host=/run/postgresql "$POSTGRES_DB" || [ "$POSTGRES_DB" = postgres ]
    pg_ctl --silent --wait --mode=fast stop
fi
unset POSTGRES_PASSWORD
exec "$@"
