"""Writes what has indexes and compressed columns. Arguments: extension, URI, path of a plain file, SQL that writes."""
import sqlite3
import sys

extension, uri, plain, writes = sys.argv[1:]


def has_functions(db):
    try:
        return db.execute("SELECT zqlite_dictionary_of(NULL)").fetchone() == (None,)
    except sqlite3.OperationalError as error:
        assert "no such function" in str(error), error
        return False


def setting(db, name):
    return db.execute(f"PRAGMA {name}").fetchone()[0]


before = sqlite3.connect(plain)
loader = sqlite3.connect(":memory:")
loader.enable_load_extension(True)
loader.load_extension(extension)
assert has_functions(loader) and setting(loader, "recursive_triggers") == 0

# Connections to plain files, older or newer, are the host's own.
after = sqlite3.connect(plain)
for db in (before, after):
    assert not has_functions(db) and setting(db, "recursive_triggers") == 0
    assert db.execute("SELECT count(*) FROM pragma_module_list WHERE name = 'cidr'").fetchone() == (0,)

# A schema that is not trusted uses them all the same.
db = sqlite3.connect(uri, uri=True, isolation_level=None)
assert has_functions(db) and setting(db, "recursive_triggers") == 1
db.execute("PRAGMA trusted_schema=OFF")
db.executescript(writes)

# Loaded once more, also while a statement runs; what was there stays.
db.enable_load_extension(True)
db.load_extension(extension)
assert db.execute("SELECT load_extension(?)", (extension,)).fetchone() == (None,)
assert has_functions(db) and setting(db, "recursive_triggers") == 1

# Another connection sees what this one has committed, and nothing else.
other = sqlite3.connect(uri, uri=True)
match = "SELECT prefix FROM route_ip('10.1.9.9')"
db.execute("BEGIN")
db.execute("INSERT INTO routes(prefix) VALUES ('10.1.9.0/24')")
assert db.execute(match).fetchone() == ("10.1.9.0/24",)
if setting(db, "journal_mode") == "wal":
    assert other.execute(match).fetchone() == ("10.1.0.0/16",)
db.execute("ROLLBACK")
assert other.execute(match).fetchone() == ("10.1.0.0/16",)

# Without recursive_triggers a REPLACE would leave the index behind: it is refused.
db.execute("PRAGMA recursive_triggers=OFF")
try:
    db.execute("REPLACE INTO routes(prefix, via) VALUES ('10.0.0.0/8', 'wrong')")
    raise AssertionError("the index was left behind")
except sqlite3.DatabaseError as error:
    assert "recursive_triggers" in str(error), error
for connection in (other, db, after, before, loader):
    connection.close()
print("written")
