#!/usr/bin/env bash
# The same job typed by hand: DuckDB loads the two files of a day, then dbt run, then dbt test. Prints wall seconds of each.
# Usage: bench/by-hand.sh [DATE] [FOLDER]   (after `npm run setup`; works in a temporary copy of the folder, or of the project)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
date=${1:-2026-11-18}
bin=$root/.millrace/venv/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
from=${2:-$root}
cp -r "$from/dbt" "$from/data" "$work/"
mkdir "$work/.millrace"
export DBT_SEND_ANONYMOUS_USAGE_STATS=false
TIMEFORMAT=%R
step() { printf '%-12s' "$1"; shift; { time "$@" >"$work/out" 2>&1; } 2>&1 || { cat "$work/out"; exit 1; }; }
load() {
  "$bin/python" - "$work" "$date" <<'PY'
import duckdb, sys
work, date = sys.argv[1:]
db = duckdb.connect(f'{work}/.millrace/warehouse.duckdb')
db.execute('create schema if not exists raw')
types = {
    'viewing_logs': {'event_id': 'VARCHAR', 'user_id': 'VARCHAR', 'content_duration_seconds': 'INTEGER', 'completed': 'BOOLEAN', 'started_at': 'TIMESTAMP', 'watched_seconds': 'INTEGER'},
    'social_interactions': {'user_id': 'VARCHAR', 'rating': 'DECIMAL(2,1)', 'occurred_at': 'TIMESTAMP'},
}
for table in types:
    # What one types by hand: the reader guesses most types and drops what it cannot read, without a word.
    db.execute(f"""create or replace table raw.{table} as
      select *, 'x' as _load_id, 'x' as _source_file, 0 as _source_record, now()::timestamp as _loaded_at, date '{date}' as _logical_date
      from read_csv('{work}/data/inbox/{table}-{date}.csv', ignore_errors = true, header = true, types = {types[table]})""")
PY
}
cd "$work/dbt"
step 'load' load
"$bin/dbt" parse >/dev/null # so that both ways have a parse cache
step 'dbt run' "$bin/dbt" run --select tag:daily
step 'dbt test' "$bin/dbt" test --select tag:daily || true
