"""Creates, fills, reopens and checks a sealed file. Arguments: extension, URI, URI with a wrong key."""
import sqlite3
import sys

extension, uri, wrong = sys.argv[1:]
loader = sqlite3.connect(":memory:")
loader.enable_load_extension(True)
loader.load_extension(extension)
loader.close()

db = sqlite3.connect(uri, uri=True)
assert db.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)")
with db:
    db.executemany("INSERT INTO t(x) VALUES (?)", ((f"very secret words {i}",) for i in range(1000)))
try:
    with db:
        db.execute("DELETE FROM t")
        raise ValueError
except ValueError:
    pass

other = sqlite3.connect(uri, uri=True)
assert other.execute("SELECT count(*) FROM t").fetchone() == (1000,)
assert other.execute("SELECT x FROM t WHERE id=500").fetchone() == ("very secret words 499",)
assert other.execute("PRAGMA zqlite_verify").fetchone() == ("ok",)
copy = sqlite3.connect(":memory:")
db.backup(copy)
assert copy.execute("SELECT count(*) FROM t").fetchone() == (1000,)
copy.close()
other.close()
db.close()

try:
    sqlite3.connect(wrong, uri=True).execute("SELECT * FROM t")
    raise AssertionError("a wrong key opens the file")
except sqlite3.DatabaseError:
    pass
db = sqlite3.connect(uri, uri=True)
assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
db.close()
print("1000 rows")
