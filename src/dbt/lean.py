"""Takes from a command's own process (a fork of host.py) what nobody sees of it."""
import collections.abc
import functools
import gc
import json
import os
import sys
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
    make_macros_once()
    dispatch_once()
    look_at_types_once()
    make_column_types_once()
    look_for_with_before_parsing()
    tell_arguments_once()
    name_callers_at_once()
    build_events_on_demand(unread)
    fill_messages_at_once()
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
    """Of which nothing is kept (artifacts.ts): the graph, its summary, the semantic manifest in both its forms, and the
    statements below `run/`, which are those below `compiled/` with what a materialization puts around them.
    """
    import dbt.parser.manifest as manifest_module
    from dbt.compilation import Compiler, Linker
    from dbt.contracts.graph.nodes import ParsedNode

    Compiler.write_graph_file = lambda *_: None
    Linker.get_graph_summary = lambda *_: {}
    manifest_module.write_semantic_manifest = lambda *_, **__: None
    write = ParsedNode.write_node

    def write_node(self, project_root, path, code):
        if path != getattr(self, "build_path", None):
            write(self, project_root, path, code)

    ParsedNode.write_node = write_node


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


def make_macros_once():
    """For the templates of one node, whose names a macro looks up anew in each call: dbt makes it anew as well."""
    from dbt_common.clients.jinja import CallableMacroGenerator

    make = CallableMacroGenerator.get_macro

    def get_macro(self):
        if not isinstance(self.context, collections.ChainMap):
            return make(self)
        made = vars(self.context).setdefault("made_macros", {})
        key = self.macro.name, self.macro.macro_sql
        if key not in made:
            made[key] = make(self)
        return made[key]

    CallableMacroGenerator.get_macro = get_macro


def dispatch_once():
    """Each name, for the templates of one node: dbt goes through the packages that might have the macro every time."""
    from dbt.context.providers import BaseDatabaseWrapper

    find = BaseDatabaseWrapper.dispatch

    def dispatch(self, macro_name, macro_namespace=None, packages=None):
        if packages is not None or not isinstance(macro_name, str) or not isinstance(macro_namespace, (str, type(None))):
            return find(self, macro_name, macro_namespace, packages)
        found = vars(self).setdefault("found_macros", {})
        key = macro_name, macro_namespace
        if key not in found:
            found[key] = find(self, macro_name, macro_namespace)
        return found[key]

    BaseDatabaseWrapper.dispatch = dispatch


def look_at_types_once():
    """Whether a type of node has a place in the project, which dbt finds out for the vars of each node's templates."""
    import dbt.context.providers as providers

    protocol = providers.IsFQNResource
    known = {}

    class OfType(type):
        def __instancecheck__(cls, value):
            kind = type(value)
            if kind not in known:
                known[kind] = isinstance(value, protocol)
            return known[kind]

    class IsFQNResource(metaclass=OfType):
        pass

    providers.IsFQNResource = IsFQNResource


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


def name_callers_at_once():
    """The module that asks for a behavior flag: dbt has Python read the source of every caller to find its name."""
    from dbt_common import behavior_flags

    own = behavior_flags.__name__

    def default_source():
        frame = sys._getframe(1)
        while frame is not None:
            name = frame.f_globals.get("__name__")
            if name != own and name in sys.modules:
                return name
            frame = frame.f_back
        return "Unknown"

    behavior_flags.BehaviorFlagRendered._default_source = staticmethod(default_source)


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


def fill_messages_at_once():
    """What a logger is told of an event, field by field: dbt makes a mapping of the fields and has that taken apart."""
    import dbt_common.events.base_types as base_types
    import dbt_common.events.event_manager as event_manager

    def msg_from_base_event(event, level=None):
        name = type(event).__name__
        message = getattr(event.PROTO_TYPES_MODULE, f"{name}Msg")()
        info = message.info
        info.level = (level or event.level_tag()).value
        info.msg = event.message()
        info.invocation_id = base_types.get_invocation_id()
        info.extra.update(base_types.get_global_metadata_vars())
        info.ts.FromJsonString(base_types.get_json_string_utcnow())
        info.pid = base_types.get_pid()
        info.thread = base_types.get_thread_name()
        info.code = event.code()
        info.name = name
        message.data.CopyFrom(event.pb_msg)
        return message

    event_manager.msg_from_base_event = msg_from_base_event


def leave_out_events(unread):
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager

    fire_event = EventManager.fire_event

    def fire_read_event(self, e, level=None, *args, **options):
        if type(e).__name__ not in unread or (level or e.level_tag()) != EventLevel.DEBUG:
            fire_event(self, e, level, *args, **options)

    EventManager.fire_event = fire_read_event
