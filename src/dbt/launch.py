"""Runs a command in this process and makes sure that it does not outlive whoever started it.

Standard input is a pipe that the starter holds open. A small forked watcher waits for its end: if the starter dies
(even by SIGKILL) while the command still runs, the watcher ends the whole process group within five seconds, politely
first, because only SIGINT makes dbt cancel its queries.
"""
import os
import signal
import sys
import time

GRACE_AFTER_SIGINT_S = 3
GRACE_AFTER_SIGTERM_S = 1.5


def watch(command_pid, pipe=0):
    """Blocks until the pipe ends; then ends the group this process shares with the command, itself included."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    while os.read(pipe, 4096):
        pass
    for number, grace_s in ((signal.SIGINT, GRACE_AFTER_SIGINT_S), (signal.SIGTERM, GRACE_AFTER_SIGTERM_S)):
        if os.getppid() != command_pid:
            break
        os.killpg(0, number)
        deadline = time.monotonic() + grace_s
        while os.getppid() == command_pid and time.monotonic() < deadline:
            time.sleep(0.05)
    os.killpg(0, signal.SIGKILL)


def main():
    command_pid = os.getpid()
    if os.fork() == 0:
        try:
            watch(command_pid)
        finally:
            os._exit(0)
    # The command must not read from, nor hold open, the pipe that the watcher listens to.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
