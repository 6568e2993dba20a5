"""Runs dbt commands in forks of this process, which has imported dbt and holds the manifests of earlier commands.

Started by host.ts as `python host.py EXECUTABLE CLASSES MODULE ...`: the file that names classes which commands of earlier
hosts had to make code for, and modules to import beforehand. Requests come as JSON lines
on standard input, answers go as JSON lines to standard output; descriptor 3 is a pipe that only the worker holds open.

  {"id", "argv", "script", "cwd", "env", "unread", "stdout", "stderr", "exit"}
                                                                    run `dbt` (or a Python script) with these arguments
  {"go": id}                                                        the command may begin
  {"ready": {"dbt", "paths"}} | {"unfit": why}                          first line: which dbt this is and where it is installed
  {"id", "pid"} | {"id", "refused": why}                              it waits for its go | it was not begun
  {"id", "exitCode" | "signal", "rssBytes"}                           it is over

This process runs nothing of dbt's itself: it opens no connection, registers no adapter, and forks only while it has one thread.
"""
import atexit
import gc
import importlib.util
import json
import os
import pickle
import runpy
import selectors
import signal
import struct
import sys
import threading
import time
import traceback

LIFELINE = 3
#: Manifests that are kept at a time: of that many projects, targets and vars.
KEPT_MANIFESTS = 4
#: Without a request, until what can wait is done.
IDLE_S = 30
#: Stands before each thing that a child tells.
LENGTH = struct.Struct("<Q")


def load_sibling(name):
    """A script beside this one, without its folder on the path: a project's own modules could have the same names."""
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    spec = importlib.util.spec_from_file_location("millrace_" + name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Host:
    def __init__(self, answers, classes_file):
        self.answers = answers
        self.watch = load_sibling("launch").watch
        self.warm = load_sibling("warm_manifest")
        self.code = load_sibling("warm_code")
        self.lean = load_sibling("lean")
        self.classes = self.code.KnownClasses(classes_file)
        #: Kept manifests, the one used last at the end.
        self.kept = {}
        #: What manifest.json says of their resources, as far as that has been made.
        self.texts = {}
        #: Of templates that commands compiled.
        self.codes = {}
        #: What is to be made when there is nothing else to do.
        self.chores = []
        #: And what is to be made when there has been nothing else for a while.
        self.later = []
        #: By process number: what was asked for, and what is left to do when it is over.
        self.running = {}
        self.selector = selectors.DefaultSelector()

    def answer(self, **message):
        self.answers.write(json.dumps(message).encode() + b"\n")
        self.answers.flush()

    def serve(self):
        wakeup_read, wakeup_write = os.pipe()
        os.set_blocking(wakeup_read, False)
        os.set_blocking(wakeup_write, False)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(wakeup_read, selectors.EVENT_READ, lambda: self.reap(wakeup_read))
        self.selector.register(0, selectors.EVENT_READ, self.read_requests)
        self.private = [wakeup_read, wakeup_write]
        self.pending = b""
        gc.enable()
        # To look for what the imports left unreachable takes a third of a second, which can wait.
        gc.freeze()
        self.later.append(iter([thaw_and_freeze]))
        while True:
            ready = self.selector.select(0 if self.chores else IDLE_S if self.later else None)
            for key, _ in ready:
                key.data()
            if ready:
                continue
            if not self.chores:
                self.chores, self.later = self.later, []
            self.do_chore()

    def do_chore(self):
        chore = next(self.chores[0], None)
        if chore is not None:
            chore()
            return
        self.chores.pop(0)
        if not self.chores:
            freeze()
            self.classes.save()

    def read_requests(self):
        chunk = os.read(0, 1 << 20)
        if not chunk:
            os._exit(0)
        *lines, self.pending = (self.pending + chunk).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if "go" in request:
                self.go(request["go"])
            else:
                self.begin(request)

    def go(self, id):
        for command in self.running.values():
            if command["id"] == id and command["go"] is not None:
                os.write(command["go"], b"g")
                os.close(command["go"])
                command["go"] = None

    def begin(self, request):
        threads = thread_count()
        if threads != 1:
            self.answer(id=request["id"], refused=f"{threads} threads: a fork would copy only one of them")
            return
        go_read, go_write = os.pipe()
        home_read, home_write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setpgid(0, 0)
                os.close(go_write)
                os.close(home_read)
                self.forget_the_host()
                run_command(request, go_read, home_write, self)
            except BaseException:  # nothing of the host may go on in the child
                traceback.print_exc()
            finally:
                os._exit(2)
        try:
            # Here, too: whoever hears of the number may signal the group at once.
            os.setpgid(pid, pid)
        except OSError:
            pass
        os.close(go_read)
        os.close(home_write)
        os.set_blocking(home_read, False)
        self.running[pid] = {"id": request["id"], "go": go_write, "home": home_read, "told": bytearray()}
        self.selector.register(home_read, selectors.EVENT_READ, lambda: self.receive(pid))
        self.answer(id=request["id"], pid=pid)

    def forget_the_host(self):
        """In the child: what is the host's alone."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.selector.close()
        os.close(self.answers.fileno())
        for descriptor in self.private:
            os.close(descriptor)
        for command in self.running.values():
            for descriptor in (command["go"], command["home"]):
                if descriptor is not None:
                    os.close(descriptor)

    def receive(self, pid):
        """What a child tells, piece by piece: a manifest that it has parsed, and what it had to make."""
        command = self.running[pid]
        while True:
            try:
                part = os.read(command["home"], 1 << 20)
            except BlockingIOError:
                return
            if not part:
                break
            command["told"] += part
            while len(command["told"]) >= LENGTH.size:
                end = LENGTH.size + LENGTH.unpack_from(command["told"])[0]
                if len(command["told"]) < end:
                    break
                self.learn(bytes(command["told"][LENGTH.size : end]))
                del command["told"][:end]
        self.close_home(command)

    def close_home(self, command):
        self.selector.unregister(command["home"])
        os.close(command["home"])
        command["home"] = None

    def learn(self, pickled):
        gc.disable()
        kind, told = pickle.loads(pickled)
        gc.enable()
        if kind == "manifest":
            self.keep(*told)
        else:
            classes, templates, codes = told
            self.code.learn(codes, self.codes)
            self.classes.add(classes)
            self.chores.append(self.code.class_chores(classes))
            self.chores.append(self.code.template_chores(templates, self.manifests()))

    def keep(self, key, fingerprint, manifest):
        replaced = self.kept.pop(key, None)
        self.kept[key] = (fingerprint, manifest)
        self.texts[key] = {}
        while len(self.kept) > KEPT_MANIFESTS:
            oldest = next(iter(self.kept))
            replaced = self.kept.pop(oldest)
            self.texts.pop(oldest, None)
        if replaced is None:
            freeze()
        else:
            self.code.forget_templates(self.manifests(), self.codes)
            # What is frozen is never looked at again: it would stay for ever.
            thaw_and_freeze()
        self.chores.append(self.warm.text_chores(manifest, self.texts[key]))

    def manifests(self):
        return [manifest for _, manifest in self.kept.values()]

    def reap(self, wakeup):
        try:
            while os.read(wakeup, 4096):
                pass
        except BlockingIOError:
            pass
        while self.running:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.running:
                self.over(pid, status)

    def over(self, pid, status):
        if self.running[pid]["home"] is not None:
            self.receive(pid)
        command = self.running.pop(pid)
        # Somebody that outlives the command may hold its end of the pipe.
        if command["home"] is not None:
            self.close_home(command)
        if command["go"] is not None:
            os.close(command["go"])
        code = os.waitstatus_to_exitcode(status)
        outcome = {"exitCode": code} if code >= 0 else {"signal": signal.Signals(-code).name}
        self.answer(id=command["id"], **outcome, rssBytes=resident_bytes())


def run_command(request, go, home, host):
    """In the child: becomes the command, leader of a group of its own, and exits as dbt's own command line would."""
    redirect(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, file in ((1, request["stdout"]), (2, request["stderr"])):
        redirect(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), descriptor)
    if not os.read(go, 1):
        # The host died before it was told to begin: whoever asked does it otherwise.
        write_exit(request["exit"], "not begun")
        os._exit(0)
    os.close(go)
    # Before the watcher is made: whoever looks for what works in the project's folder finds it, too.
    os.chdir(request["cwd"])
    command_pid = os.getpid()
    if os.fork() == 0:
        try:
            os.close(home)
            host.watch(command_pid, LIFELINE)
        finally:
            os._exit(0)
    os.close(LIFELINE)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.argv = request["argv"]
    host.lean.install(request["unread"])
    host.warm.install(host.kept, host.texts, lambda kept: tell(home, "manifest", kept))
    made = host.code.Made(host.codes)
    code = exit_code(lambda: run_program(request["script"]))
    if made.told() is not None:
        tell(home, "made", made.told())
    write_exit(request["exit"], str(code))
    os._exit(code)


def run_program(script):
    if script is not None:
        runpy.run_path(script, run_name="__main__")
        return
    from dbt.cli.main import cli

    sys.exit(cli())


def exit_code(run):
    """Runs it, and then what Python does at the end of a process, but for taking apart what the host made."""
    try:
        run()
        code = 0
    except SystemExit as end:
        code = end.code
        if code is None:
            code = 0
        elif not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 120
    return code & 0xFF


def tell(home, kind, what):
    """In the child: hands it to the host."""
    gc.disable()
    try:
        pickled = pickle.dumps((kind, what), protocol=pickle.HIGHEST_PROTOCOL)
        rest = memoryview(LENGTH.pack(len(pickled)) + pickled)
        while rest:
            rest = rest[os.write(home, rest) :]
    except OSError:
        # The host has died; this command goes on without it.
        pass
    finally:
        gc.enable()


def freeze():
    """What is here now belongs to the host for good: a fork need neither look at it nor copy it."""
    gc.collect()
    gc.freeze()


def thaw_and_freeze():
    """The same of all that has been frozen before."""
    gc.unfreeze()
    freeze()


def write_exit(file, text):
    """For a worker whose host has died: nobody else could tell it how the command ended."""
    with open(file + ".new", "w") as out:
        out.write(text)
    os.replace(file + ".new", file)


def redirect(source, target):
    os.dup2(source, target)
    os.close(source)


def thread_count():
    """Of Python's own and, where the system tells, of libraries."""
    try:
        return max(len(os.listdir("/proc/self/task")), threading.active_count())
    except OSError:
        return threading.active_count()


def resident_bytes():
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main():
    executable, classes_file, *modules = sys.argv[1:]
    # What dbt prints while it is imported must not stand between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.set_inheritable(LIFELINE, False)
    # Ended by the worker, not by a Ctrl+C that its terminal sends to all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # As it is for dbt's own script.
    sys.path[0] = os.path.dirname(executable)
    # dbt reads a `.env` from here upwards when it is imported; each command reads its own.
    os.chdir("/")
    # What is imported stays: nothing to look for.
    gc.disable()
    host = Host(answers, classes_file)
    try:
        host.code.write_methods_on_demand()
        version = host.warm.require_dbt()
    except Exception as error:
        host.answer(unfit=str(error))
        return
    host.code.import_modules(modules)
    host.code.keep_code_of_templates(host.codes)
    # Before the first command, which would have to make it as well; it seldom has to parse.
    parsing, others = host.code.by_use(host.classes.names)
    for make in host.code.class_chores(others):
        make()
    host.later.append(host.code.class_chores(parsing))
    paths = [executable, *(path for path in sys.path if os.path.isdir(path))]
    host.answer(ready={"dbt": version, "paths": paths})
    host.serve()


main()
