"""Gives the BigQuery emulator the DuckDB extension that it does not start without, from its package: no download.

DuckDB keeps extensions below the home folder; the environment has one of its own, which the emulator is started with.
"""
import os
import pathlib
import sys

home = pathlib.Path(sys.prefix, "home")
home.mkdir(exist_ok=True)
os.environ["HOME"] = str(home)

import duckdb
import duckdb_extension_spatial

[file] = pathlib.Path(duckdb_extension_spatial.__file__).parent.rglob("spatial.duckdb_extension")
duckdb.execute("install '" + str(file).replace("'", "''") + "'")
