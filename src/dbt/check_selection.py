"""Asks dbt, in one process and with one parse, which nodes each selection matches.

Reads a file, its argument, with {"arguments": [...], "selections": [[words of `dbt ls`], ...]} and prints {"nodes": [[unique
ids], ...]} as the last line of standard output; {"error": "..."} when dbt could not list.
"""
import json
import sys


def answer(request):
    from dbt.cli.main import dbtRunner

    def invoke(runner, words):
        outcome = runner.invoke(["--quiet", *words, *request["arguments"]])
        if outcome.exception is not None:
            raise outcome.exception
        return outcome.result

    runner = dbtRunner(manifest=invoke(dbtRunner(), ["parse"]))
    listing = ["ls", "--output", "json", "--output-keys", "unique_id"]
    found = [invoke(runner, [*listing, *words]) or [] for words in request["selections"]]
    return {"nodes": [[json.loads(line)["unique_id"] for line in lines] for lines in found]}


def main():
    try:
        print(json.dumps(answer(json.load(open(sys.argv[1])))))
    except BaseException as error:  # dbt raises SystemExit, too
        print(json.dumps({"error": str(error)}))


main()
