"""Takes from a command's own process (a fork of host.py) what nobody sees of it."""
import collections.abc
import functools
import gc
import json
import os
import types

#: Objects that Python makes before it looks for unreachable ones; 700 by default, far less than a project has.
COLLECT_EVERY = 100_000


def install(unread_events):
    """`unread_events`: names of events that nobody reads, where they are of debug level."""
    gc.set_threshold(COLLECT_EVERY, 50, 50)
    unread = frozenset(unread_events)
    write_json_at_once()
    leave_out_files()
    look_up_macros_on_demand()
    look_up_names_at_once()
    make_column_types_once()
    look_for_with_before_parsing()
    tell_arguments_once()
    build_events_on_demand(unread)
    leave_out_events(unread)


def write_json_at_once():
    """The same text in one piece, which Python writes in C; `json.dump` does it in Python, ten times as slow."""
    import dbt.artifacts.schemas.base as base
    import dbt_common.clients.system as system
    from dbt_common.utils.encoding import JSONEncoder

    def write_json(path, data):
        system.make_directory(os.path.dirname(path))
        text = json.dumps(data, cls=JSONEncoder)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return True

    base.write_json = write_json
    system.write_json = write_json


def leave_out_files():
    """Of which nothing is kept (artifacts.ts): the graph, its summary, and the semantic manifest in both its forms."""
    import dbt.parser.manifest as manifest_module
    from dbt.compilation import Compiler, Linker

    Compiler.write_graph_file = lambda *_: None
    Linker.get_graph_summary = lambda *_: {}
    manifest_module.write_semantic_manifest = lambda *_, **__: None


def look_up_macros_on_demand():
    """For arguments of tests, too: dbt's other templates do, these copy all macros that there are for each argument."""
    from dbt_common.clients.jinja import MacroFuzzTemplate, NativeSandboxTemplate

    on_demand = vars(MacroFuzzTemplate).get("new_context")
    if on_demand is not None:
        NativeSandboxTemplate.new_context = on_demand


def look_up_names_at_once():
    """As templates do for every word: the same question without a generator, and of a type rather than its alias."""
    import dbt.context.macros as macros

    def contains(self, key):
        for mapping in self.maps:
            if key in mapping:
                return True
        return False

    collections.ChainMap.__contains__ = contains
    macros.MutableMapping = collections.abc.MutableMapping


def make_column_types_once():
    """Of a query's answer with the same text columns: each set makes parsers of dates anew."""
    import dbt_common.clients.agate_helper as agate_helper

    make = functools.lru_cache(maxsize=64)(agate_helper.build_type_tester)

    def build_type_tester(text_columns, string_null_values=("null", "")):
        return make(frozenset(text_columns), string_null_values)

    agate_helper.build_type_tester = build_type_tester


def look_for_with_before_parsing():
    """In a statement that CTEs are put before. dbt has sqlparse take all of it apart, which takes long, and looks for a
    `with` outside of parentheses: there is nothing to take apart where the statement begins with it, or has none at all.
    """
    import dbt.compilation as compilation
    import sqlparse
    from sqlparse import lexer, tokens
    from sqlparse.sql import Statement, Token

    def parse(sql):
        # What stands behind a semicolon is another statement.
        if ";" in sql or not sql.strip():
            return sqlparse.parse(sql)
        head = with_and_before(sql) if "WITH" in sql.upper() else []
        if head is None:
            return sqlparse.parse(sql)
        rest = sql[sum(len(token.value) for token in head) :]
        text = rest.lstrip()
        space = rest[: len(rest) - len(text)]
        parts = [*head, Token(tokens.Whitespace, space), Token(tokens.Other, text)]
        return (Statement([token for token in parts if token.value]),)

    def with_and_before(sql):
        """None where the first word is no `with`, or a keyword follows: as `recursive`, it may belong to it."""
        head = []
        for token in (Token(*each) for each in lexer.tokenize(sql)):
            if token.is_whitespace or token.ttype in tokens.Comment:
                if not is_with(head[-1:]):
                    head.append(token)
            elif is_with(head[-1:]):
                return None if token.is_keyword else head
            elif is_with([token]):
                head.append(token)
            else:
                return None
        return head if is_with(head[-1:]) else None

    def is_with(last):
        return bool(last) and last[0].is_keyword and last[0].normalized == "WITH"

    compilation.sqlparse = types.SimpleNamespace(parse=parse, sql=sqlparse.sql, tokens=tokens)


def tell_arguments_once():
    """What every node's context has as `invocation_args_dict`."""
    import dbt.context.providers as providers

    make = providers.args_to_dict
    made = {}

    def args_to_dict(args):
        if id(args) not in made:
            made[id(args)] = args, make(args)
        return dict(made[id(args)][1])

    providers.args_to_dict = args_to_dict


def build_events_on_demand(unread):
    """Their messages, of protobuf, take longer than all else that is done with an event that is left out."""
    from dbt_common.events.base_types import BaseEvent

    build, read = BaseEvent.__init__, BaseEvent.__getattr__

    def note(self, *args, **fields):
        if type(self).__name__ in unread:
            vars(self)["unbuilt"] = args, fields
        else:
            build(self, *args, **fields)

    def read_built(self, key):
        unbuilt = vars(self).pop("unbuilt", None)
        if unbuilt is not None:
            args, fields = unbuilt
            build(self, *args, **fields)
        return read(self, key)

    BaseEvent.__init__ = note
    BaseEvent.__getattr__ = read_built


def leave_out_events(unread):
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager

    fire_event = EventManager.fire_event

    def fire_read_event(self, e, level=None, *args, **options):
        if type(e).__name__ not in unread or (level or e.level_tag()) != EventLevel.DEBUG:
            fire_event(self, e, level, *args, **options)

    EventManager.fire_event = fire_read_event
