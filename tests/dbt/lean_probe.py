"""What dbt does by itself and what it does once src/dbt/lean.py has changed it, told side by side.

`python lean_probe.py lean.py` reads {"statements": [sql, ...], "unread": [event, ...]} and writes JSON.
"""
import importlib.util
import json
import sys


def load(file):
    spec = importlib.util.spec_from_file_location("lean", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def with_ctes(sql):
    from dbt.compilation import inject_ctes_into_sql
    from dbt.contracts.graph.nodes import InjectedCTE

    try:
        return inject_ctes_into_sql(sql, [InjectedCTE(id="one", sql="one as (select 1)")])
    except Exception as error:
        return type(error).__name__


def column_types():
    """Of an answer whose columns are asked for as text, and of one that is not; each twice."""
    from dbt_common.clients.agate_helper import table_from_data_flat

    rows = [{"n": 1, "d": "2026-11-17", "t": "007", "x": None}, {"n": 2, "d": "2026-11-18", "t": "", "x": 0.5}]
    numbers = [{"n": 1, "d": 2, "t": 3, "x": 4}]
    tables = [table_from_data_flat(data, ["n", "d", "t", "x"]) for data in (rows, numbers, rows, numbers)]
    return [([type(kind).__name__ for kind in table.column_types], [list(map(repr, row)) for row in table.rows]) for table in tables]


def events():
    """As a logger hears them: a debug event, the same one at another level, and one whose message is asked for."""
    from dbt.adapters.events.types import NewConnection, SQLQuery
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager

    heard = []
    manager = EventManager()
    manager.add_callback(lambda message: heard.append((message.info.name, message.info.level, message.info.msg)))
    manager.fire_event(SQLQuery(conn_name="c", sql="select 1"))
    manager.fire_event(NewConnection(conn_name="debug", conn_type="t"))
    manager.fire_event(NewConnection(conn_name="loud", conn_type="t"), level=EventLevel.WARN)
    return heard, NewConnection(conn_name="asked", conn_type="t").message()


def main():
    asked = json.load(sys.stdin)
    look = lambda: {"ctes": [with_ctes(sql) for sql in asked["statements"]], "types": column_types(), "events": events()}
    before = look()
    load(sys.argv[1]).install(asked["unread"])
    json.dump({"dbt": before, "lean": look()}, sys.stdout)


main()
