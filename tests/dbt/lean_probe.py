"""What dbt does by itself and what it does once src/dbt/lean.py and warm_code.py have changed it, told side by side.

`python lean_probe.py lean.py warm_code.py` reads {"statements": [sql, ...], "unread": [event, ...]} and writes JSON.
"""
import collections
import importlib.util
import json
import sys
import types


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
    from dbt_common.events.functions import msg_to_dict

    heard = []
    manager = EventManager()
    manager.add_callback(lambda message: heard.append(timeless(msg_to_dict(message))))
    manager.fire_event(SQLQuery(conn_name="c", sql="select 1"))
    manager.fire_event(NewConnection(conn_name="debug", conn_type="t"))
    manager.fire_event(NewConnection(conn_name="loud", conn_type="t"), level=EventLevel.WARN)
    return heard, NewConnection(conn_name="asked", conn_type="t").message()


def timeless(told):
    """But for when, which is looked at for its form alone."""
    return {**told, "info": {**told["info"], "ts": len(told["info"]["ts"]) > 20}}


def macros():
    """What one macro says to the templates of two nodes, called twice, when a name that it looks up has changed in between;
    and what a name is found to be for each package.
    """
    from dbt.clients.jinja import MacroGenerator, MacroStack
    from dbt.context.macros import MacroNamespace
    from dbt.context.providers import BaseDatabaseWrapper

    macro = types.SimpleNamespace(name="say", unique_id="macro.p.say", macro_sql="{% macro say(x) %}{{ x }} {{ y }}{% endmacro %}")
    said = []
    for node in ("one", "two"):
        context = collections.ChainMap({"y": node})
        for _ in range(2):
            said.append(MacroGenerator(macro, context, None, MacroStack())("x"))
            context["y"] += "!"

    class Wrapper(BaseDatabaseWrapper):
        def _get_adapter_macro_prefixes(self):
            return ["duckdb", "default"]

        def _get_search_packages(self, namespace=None):
            return [namespace]

    wrapper = object.__new__(Wrapper)
    wrapper._namespace = MacroNamespace({}, None, None, [{"default__a": "ours", "p": {"duckdb__a": "of p"}}])
    found = [wrapper.dispatch("a", *package) for package in ((), ("p",), (), ("p",))]
    refused = []
    for asked in (("b",), ("p.a",), ("a", ["p"])):
        try:
            wrapper.dispatch(*asked)
        except Exception as error:
            refused.append(type(error).__name__)
    return said, found, refused


def have_place():
    """Which nodes of two types are taken for ones with a place in the project, each asked for twice."""
    from dbt.context import providers

    class Placed:
        def __init__(self):
            self.fqn, self.resource_type, self.package_name = ["p", "m"], "model", "p"

    class Other:
        def __init__(self):
            self.resource_type, self.package_name = "macro", "p"

    return [isinstance(kind(), providers.IsFQNResource) for kind in (Placed, Other, Placed, Other)]


def flag_source():
    from dbt_common.behavior_flags import BehaviorFlagRendered

    flag = BehaviorFlagRendered({"name": "f", "default": False, "description": "d", "docs_url": "u"}, {})
    return flag._behavior_change_event.flag_source


def methods():
    """What (de)serializers of new classes make of objects, the second time too, and of what is none of theirs; and how many
    texts were compiled for the classes alone.
    """
    from dataclasses import dataclass, field
    from typing import Any, Dict, List, Optional

    from dbt_common.dataclass_schema import ExtensibleDbtClassMixin, dbtClassMixin
    from mashumaro import DataClassDictMixin
    from mashumaro.core.meta.code.builder import CodeBuilder

    # One that is not put off, with a class in it that has no methods.
    @dataclass
    class Bare:
        n: int

    @dataclass
    class Eager(DataClassDictMixin):
        bare: Bare

    compiled = []
    compile_text = CodeBuilder.compile
    CodeBuilder.compile = lambda builder: (compiled.append(builder.cls), compile_text(builder))

    @dataclass
    class Inner(dbtClassMixin):
        n: int
        s: Optional[str] = None

    @dataclass
    class Outer(dbtClassMixin):
        inner: Inner
        items: List[Inner] = field(default_factory=list)

        @classmethod
        def __pre_deserialize__(cls, data: Dict[Any, Any]):
            return super().__pre_deserialize__({**data, "items": data.get("items", [{"n": 0}])})

    # Has methods of its own, although those of its base have been called.
    @dataclass
    class Wider(Outer):
        more: int = 1

    @dataclass
    class Open(ExtensibleDbtClassMixin):
        n: int

    # Is given more than a value in the first calls.
    @dataclass
    class Asked(dbtClassMixin):
        n: int

    CodeBuilder.compile = compile_text

    def outcome(call):
        try:
            return repr(call())
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    given = {"inner": {"n": 1}}
    outer = Outer(Inner(1), [Inner(2, "x")])
    said = [
        [
            outcome(lambda: Outer.from_dict(given)),
            outcome(lambda: outer.to_dict()),
            outcome(lambda: outer.to_dict(omit_none=False)),
            outcome(lambda: Outer.from_msgpack(outer.to_msgpack())),
            outcome(lambda: Wider.from_dict({**given, "more": 2})),
            outcome(lambda: Wider(Inner(3)).to_dict()),
            outcome(lambda: Wider.from_msgpack(Wider(Inner(3), more=4).to_msgpack())),
            outcome(lambda: Open.from_dict({"n": 1, "extra": 2}).to_dict()),
            outcome(lambda: Asked.from_msgpack("{'n': 1}", decoder=eval)),
            outcome(lambda: Asked(1).to_msgpack(encoder=repr)),
            outcome(lambda: Outer.from_dict({"inner": 5})),
            outcome(lambda: Inner.from_dict({})),
            outcome(lambda: Outer.from_dict(given, unknown=1)),
            outcome(lambda: outer.to_dict(unknown=1)),
            outcome(lambda: Eager.from_dict({"bare": {"n": 1}}).to_dict()),
        ]
        for _ in range(2)
    ]
    return said, len(compiled)


def look(asked):
    return {
        "methods": methods(),
        "ctes": [with_ctes(sql) for sql in asked["statements"]],
        "types": column_types(),
        "events": events(),
        "macros": macros(),
        "havePlace": have_place(),
        "flagSource": flag_source(),
    }


def main():
    asked = json.load(sys.stdin)
    before = look(asked)
    load(sys.argv[1]).install(asked["unread"])
    load(sys.argv[2]).write_methods_on_demand()
    json.dump({"dbt": before, "lean": look(asked)}, sys.stdout)


main()
