"""Takes from a command's own process (a fork of host.py) what nobody sees of it."""
import gc
import json
import os

#: Objects that Python makes before it looks for unreachable ones; 700 by default, far less than a project has.
COLLECT_EVERY = 100_000


def install(unread_events):
    """`unread_events`: names of events that nobody reads, where they are of debug level."""
    gc.set_threshold(COLLECT_EVERY, 50, 50)
    write_json_at_once()
    look_up_macros_on_demand()
    leave_out_events(frozenset(unread_events))


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


def look_up_macros_on_demand():
    """For arguments of tests, too: dbt's other templates do, these copy all macros that there are for each argument."""
    from dbt_common.clients.jinja import MacroFuzzTemplate, NativeSandboxTemplate

    on_demand = vars(MacroFuzzTemplate).get("new_context")
    if on_demand is not None:
        NativeSandboxTemplate.new_context = on_demand


def leave_out_events(unread):
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager

    fire_event = EventManager.fire_event

    def fire_read_event(self, e, level=None, *args, **options):
        if type(e).__name__ not in unread or (level or e.level_tag()) != EventLevel.DEBUG:
            fire_event(self, e, level, *args, **options)

    EventManager.fire_event = fire_read_event
