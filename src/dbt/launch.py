"""Runs one dbt command in this process and makes sure that it does not outlive whoever started it.

Standard input is a pipe that the starter holds open. A small forked watcher waits for its end: if the starter dies
(even by SIGKILL) while dbt still runs, the watcher ends the whole process group, politely first, because only SIGINT
makes dbt cancel its queries.
"""
import os
import signal
import sys
import time

GRACE_AFTER_SIGINT_S = 10
GRACE_AFTER_SIGTERM_S = 5


def watch(dbt_pid):
    """Blocks until the pipe ends; then ends the group this process shares with dbt, itself included."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # An open output pipe here would keep the starter waiting for more output after dbt is done.
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    while os.read(0, 4096):
        pass
    for number, grace_s in ((signal.SIGINT, GRACE_AFTER_SIGINT_S), (signal.SIGTERM, GRACE_AFTER_SIGTERM_S)):
        if os.getppid() != dbt_pid:
            break
        os.killpg(0, number)
        deadline = time.monotonic() + grace_s
        while os.getppid() == dbt_pid and time.monotonic() < deadline:
            time.sleep(0.05)
    os.killpg(0, signal.SIGKILL)


def main():
    dbt_pid = os.getpid()
    if os.fork() == 0:
        try:
            watch(dbt_pid)
        finally:
            os._exit(0)
    # dbt must not read from, nor hold open, the pipe that the watcher listens to.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    from dbt.cli.main import cli

    sys.argv[0] = "dbt"
    sys.exit(cli())


main()
