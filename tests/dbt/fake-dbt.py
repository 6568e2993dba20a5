"""Plays dbt by the script beside it: what the real one cannot be made to do. Its events have the form of dbt 1.12.6.

script.json: the project's nodes, templates of events by name, and the steps of each call; the last ones are for all
calls after it. Written beside it: calls.jsonl (a line per call), signals.txt, grandchildren.txt.
"""
import copy
import datetime
import json
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
OUT, ERR = 1, 2
MEGABYTE = 1024 * 1024
# Nothing that this program starts lives longer, whatever becomes of the test.
LONGEST_S = 60


def beside(name):
    return os.path.join(HERE, name)


def option(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")


def append(name, text):
    with open(beside(name), "a") as file:
        file.write(f"{text}\n")


def write(descriptor, data):
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class FakeDbt:
    def __init__(self):
        with open(beside("script.json")) as file:
            self.script = json.load(file)
        self.call = self.record_call()
        self.invocation = f"00000000-0000-0000-0000-{self.call:012d}"
        self.asked = self.asked_for()
        self.started = {}
        self.results = {}
        signal.signal(signal.SIGINT, self.obey)
        signal.signal(signal.SIGTERM, self.obey)

    def record_call(self):
        state = None
        if option("--state"):
            with open(os.path.join(option("--state"), "run_results.json")) as file:
                state = json.load(file)
        self.state = state
        call = len(open(beside("calls.jsonl")).readlines()) if os.path.exists(beside("calls.jsonl")) else 0
        append("calls.jsonl", json.dumps({"pid": os.getpid(), "args": sys.argv[1:], "state": state}))
        return call

    def asked_for(self):
        """As dbt reads its arguments: what the state says is missing, what is named, or everything."""
        if self.state is not None:
            return [each["unique_id"] for each in self.state["results"] if each["status"] == "skipped"]
        if "--select" not in sys.argv:
            return self.script["nodes"]
        words = sys.argv[sys.argv.index("--select") + 1 :]
        named = [word.split(".")[-1] for word in words if word.startswith("fqn:")]
        return [node for node in self.script["nodes"] if node.split(".")[2] in named]

    def obey(self, number, _frame):
        append("signals.txt", signal.Signals(number).name)
        os._exit(1)

    # What a script may say.

    def ignore(self, *names):
        for name in names:
            signal.signal(getattr(signal, name), lambda number, _: append("signals.txt", signal.Signals(number).name))

    def say(self, name, data=None, level=None, end="\n"):
        line = copy.deepcopy(self.script["templates"].get(name) or self.script["templates"]["MainReportVersion"])
        line["data"].update(data or {})
        line["info"].update(name=name, invocation_id=self.invocation, pid=os.getpid(), ts=now() + "Z")
        if level:
            line["info"].update(level=level, msg=json.dumps(data))
        write(OUT, (json.dumps(line) + end).encode())

    def begin(self):
        self.say("MainReportVersion")
        self.say("ConcurrencyLine", {"node_count": len(self.asked)})

    def node_info(self, unique_id, status, finished_at=""):
        kind, _, name = unique_id.split(".")[:3]
        return {
            **self.script["templates"]["NodeStart"]["data"]["node_info"],
            "unique_id": unique_id,
            "node_name": name,
            "resource_type": kind,
            "node_status": status,
            "node_started_at": self.started.get(unique_id, now()),
            "node_finished_at": finished_at,
        }

    def start(self, unique_id):
        self.started[unique_id] = now()
        self.say("NodeStart", {"node_info": self.node_info(unique_id, "started")})

    def finish(self, unique_id, status="success", message="OK", response=None):
        self.results[unique_id] = status
        result = {**self.script["templates"]["NodeFinished"]["data"]["run_result"], "status": status, "message": message}
        result["adapter_response"] = response or result["adapter_response"]
        self.say("NodeFinished", {"node_info": self.node_info(unique_id, status, now()), "run_result": result})

    def node(self, unique_id, *outcome):
        self.start(unique_id)
        self.finish(unique_id, *outcome)

    def rest(self):
        for unique_id in self.asked:
            if unique_id not in self.results:
                self.node(unique_id)

    def start_hook(self, unique_id):
        self.say("LogHookStartLine", {"node_info": self.node_info(unique_id, "started")}, "info")

    def hook(self, unique_id):
        self.start_hook(unique_id)
        self.results[unique_id] = "success"
        self.say("LogHookEndLine", {"node_info": self.node_info(unique_id, "success"), "status": "success"}, "info")

    def leave(self, name, text):
        path = os.path.join(option("--target-path"), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def failing_hook(self, unique_id, message):
        self.results[unique_id] = "error"
        self.say("RunResultError", {"node_info": self.node_info(unique_id, "error"), "msg": message})

    def run_results(self, kind="whole"):
        invocation = "another" if kind == "foreign" else self.invocation
        results = [{"unique_id": unique_id, "status": status} for unique_id, status in self.results.items()]
        text = json.dumps({"metadata": {"invocation_id": invocation}, "results": results})
        with open(os.path.join(option("--target-path"), "run_results.json"), "w") as file:
            file.write(text[: len(text) // 2] if kind == "half" else text)

    def complete(self, success, end="\n"):
        self.say("CommandCompleted", {"success": success}, end=end)

    def sound(self):
        self.begin()
        self.rest()
        self.run_results()
        self.complete(True)

    def text(self, descriptor, text):
        write(descriptor, text.encode("latin-1"))

    def long_line(self, kind, megabytes):
        """One line: of plain text, or an event of that level."""
        text = ("x" * 63 + " ") * (megabytes * MEGABYTE // 64)
        if kind == "text":
            write(OUT, text.encode() + b"\n")
        else:
            self.say("PrintEvent", {"msg": text}, kind)

    def flood(self, megabytes, descriptor=OUT):
        """Debug events as dbt writes most, some of a kind that nobody knows; plain text on standard error."""
        known = {**self.script["templates"]["MainReportVersion"], "data": {"conn_name": "a", "sql": "select 1 " * 100}}
        known["info"] = {**known["info"], "level": "debug", "name": "SQLQuery"}
        unknown = copy.deepcopy(known)
        unknown["info"]["name"] = "NobodyKnows"
        lines = [json.dumps(known)] * 9 + [json.dumps(unknown)] if descriptor == OUT else ["a warning of Python's"] * 10
        block = ("\n".join(lines * 100) + "\n").encode()
        for _ in range(megabytes * MEGABYTE // len(block)):
            write(descriptor, block)

    def grandchild(self, kind, does="sleeps"):
        """Outlives us, in our group or in a session of its own; holds standard output open, or writes to it when we are gone."""
        parent = os.getpid()
        pid = os.fork()
        if pid > 0:
            append("grandchildren.txt", pid)
            return
        if kind == "session":
            os.setsid()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        until = time.monotonic() + LONGEST_S
        while time.monotonic() < until:
            # Not much in MB, but more lines than anybody reads at the same time.
            if does == "writes" and os.getppid() != parent:
                write(OUT, b"{}\n" * 20_000)
            time.sleep(0.005)
        os._exit(0)

    def hang(self):
        until = time.monotonic() + LONGEST_S
        while time.monotonic() < until:
            time.sleep(1)

    def pause(self, seconds):
        time.sleep(seconds)

    def kill(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def exit(self, code):
        os._exit(code)


def main():
    dbt = FakeDbt()
    calls = dbt.script["calls"]
    for name, *arguments in calls[min(dbt.call, len(calls) - 1)]:
        getattr(dbt, name)(*arguments)


main()
