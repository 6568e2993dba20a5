"""Asks dbt, in one process, how many nodes each selection matches.

Reads {"arguments": [...], "selections": [{"select": [...], "exclude": [...], "types": [...]}]} from standard input and
prints {"counts": [...]} as the last line of standard output; {"error": "..."} when dbt could not list.
"""
import json
import sys


def count(runner, arguments, selection):
    command = ["--quiet", "ls", *arguments]
    for option, values in (("--select", selection["select"]), ("--exclude", selection["exclude"])):
        if values:
            command += [option, *values]
    for kind in selection["types"]:
        command += ["--resource-type", kind]
    outcome = runner.invoke(command)
    if outcome.exception is not None:
        raise outcome.exception
    return len(outcome.result or [])


def main():
    request = json.load(sys.stdin)
    from dbt.cli.main import dbtRunner

    runner = dbtRunner()
    try:
        counts = [count(runner, request["arguments"], selection) for selection in request["selections"]]
        print(json.dumps({"counts": counts}))
    except BaseException as error:  # dbt raises SystemExit, too
        print(json.dumps({"error": str(error)}))


main()
