"""Has the SQLite of apsw-sqlite3mc load the extension that runs a workload: run.py EXTENSION ENGINE WORKLOAD FOLDER …"""

import os
import sys

import apsw

extension, *args = sys.argv[1:]
os.environ["BENCH_ARGS"] = "\n".join(["bench-sqlite3mc", *args])
connection = apsw.Connection(":memory:")
connection.enable_load_extension(True)
connection.load_extension(extension, "bench_init")
