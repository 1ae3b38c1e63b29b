"""A URI that names a database as its key file takes no lock away. Arguments: extension, folder."""
import os
import sqlite3
import subprocess
import sys

extension, folder = sys.argv[1:]
loader = sqlite3.connect(":memory:")
loader.enable_load_extension(True)
loader.load_extension(extension)

plain = os.path.join(folder, "plain.db")
holder = sqlite3.connect(plain, isolation_level=None)
holder.execute("CREATE TABLE t(x)")
holder.execute("BEGIN IMMEDIATE")


def another_process_writes():
    program = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    return subprocess.run([sys.executable, "-c", program, plain], capture_output=True).returncode == 0


assert not another_process_writes()
for parameter in ("identity", "passphrase_file", "raw_key_file", "signed_by", "create_recipient"):
    uri = f"file:{folder}/app.db?vfs=zqlite&{parameter}={plain}"
    try:
        sqlite3.connect(uri, uri=True).execute("SELECT * FROM t")
        raise AssertionError("a database is no key")
    except sqlite3.DatabaseError:
        pass
    assert not another_process_writes(), parameter
holder.execute("INSERT INTO t VALUES (1)")
# What would have happened: this is how POSIX has it.
open(plain, "rb").close()
assert another_process_writes()
print("locked")
