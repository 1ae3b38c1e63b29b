"""Makes every database that a test suite opens a file: a plain one, or a sealed one, in WAL mode unless told otherwise.

Python imports this module before anything else, in child processes too, if its folder is on PYTHONPATH. It puts subclasses
in the place of sqlite3.Connection and sqlite3.Cursor: all ways of opening a database go through the one, and ATTACH
through the other.

ZQLITE_SUITE          plain or sealed; without it nothing is changed
ZQLITE_SUITE_DIR      a folder for the files that stand in for :memory:
ZQLITE_SUITE_JOURNAL  the journal mode of files (wal)
ZQLITE_EXTENSION      sealed: the loadable extension
ZQLITE_PARAMETERS     sealed: the part of a URI that names VFS and keys
"""

import os
import re
import shutil
import sqlite3
import tempfile
from urllib.parse import quote

MODE = os.environ.get("ZQLITE_SUITE")
JOURNAL = os.environ.get("ZQLITE_SUITE_JOURNAL", "wal")
PARAMETERS = os.environ.get("ZQLITE_PARAMETERS", "")
Connection, Cursor = sqlite3.Connection, sqlite3.Cursor
ATTACH = re.compile(r"""(\s*ATTACH (?:DATABASE )?)(["'])([^"']*)\2(.*)""", re.DOTALL)


def uri_of(path):
    """The URI of a file: sealed or plain, as the suite runs."""
    uri = "file:" + quote(os.fsencode(path))
    return f"{uri}?{PARAMETERS}" if MODE == "sealed" else uri


def load_extension():
    """Once for each process: the VFS stays registered when this connection is closed."""
    connection = Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(os.environ["ZQLITE_EXTENSION"])
    connection.close()


def make_template():
    """An empty database, in the journal mode that is asked for: copied to where a test expects a new one."""
    path = os.path.join(tempfile.mkdtemp(dir=os.environ["ZQLITE_SUITE_DIR"]), "template.db")
    connection = Connection(uri_of(path), uri=True)
    mode = connection.execute(f"PRAGMA journal_mode={JOURNAL}").fetchone()[0]
    # There is no file before the first page.
    connection.execute("VACUUM")
    connection.close()
    if mode != JOURNAL:
        raise RuntimeError(f"journal mode {mode}")
    with open(path, "rb") as file:
        is_sealed = file.read(13) == b"zqlite sealed"
    if is_sealed != (MODE == "sealed"):
        raise RuntimeError("the suite would run on files of the wrong kind")
    return path


def provide(path):
    """Puts the template where there is no file, if there can be one."""
    parent = os.path.dirname(os.path.abspath(os.fsdecode(path)))
    if os.path.isdir(parent) and os.access(parent, os.W_OK) and not os.path.lexists(path):
        shutil.copyfile(TEMPLATE, path)


def mapped(database, uri):
    """What is opened in the place of `database`: a name, and whether it is a URI."""
    if not isinstance(database, (str, bytes, os.PathLike)):
        return database, uri
    name = os.fspath(database)
    if name in (":memory:", b":memory:"):
        folder = os.path.dirname(TEMPLATE)
        handle, path = tempfile.mkstemp(suffix=".db", dir=folder)
        os.close(handle)
        shutil.copyfile(TEMPLATE, path)
        return uri_of(path), True
    if not name or (isinstance(name, str) and "\0" in name):
        return database, uri
    if uri and isinstance(name, str) and name.startswith("file:"):
        if MODE != "sealed" or "memory" in name or "vfs=" in name:
            return database, uri
        return name + ("&" if "?" in name else "?") + PARAMETERS, True
    provide(name)
    return (uri_of(name), True) if MODE == "sealed" else (database, uri)


def attaching_mapped(sql):
    """The statement, with another file if it attaches one."""
    found = ATTACH.fullmatch(sql) if isinstance(sql, str) else None
    if not found or found[3].startswith("file:"):
        return sql
    name, uri = mapped(found[3], False)
    return f"{found[1]}'{name if uri else found[3]}'{found[4]}"


class SuiteConnection(Connection):
    """A connection to a file, where :memory: is asked for, and to a sealed one, in a sealed run."""

    def __init__(self, database, *args, **kwargs):
        # The positional arguments of sqlite3.connect after the database; `uri` is the seventh.
        uri = args[6] if len(args) > 6 else kwargs.get("uri", False)
        database, uri = mapped(database, uri)
        if len(args) > 6:
            args = (*args[:6], uri, *args[7:])
        else:
            kwargs["uri"] = uri
        super().__init__(database, *args, **kwargs)

    def execute(self, sql, *args):
        """As ever, but for the name of an attached file. It makes a cursor that no method hands out."""
        return super().execute(attaching_mapped(sql), *args)

    def cursor(self, *args, **kwargs):
        """As ever, but that the cursor is of the class below where no other is asked for."""
        return super().cursor(*args, **kwargs) if args or kwargs else super().cursor(SuiteCursor)


class SuiteCursor(Cursor):
    """A cursor that maps the file of an ATTACH."""

    def execute(self, sql, *args):
        """As ever, but for the name of an attached file."""
        return super().execute(attaching_mapped(sql), *args)


def connect(database, *args, **kwargs):
    """sqlite3.connect, with the class above where no other is asked for."""
    if len(args) <= 4 and "factory" not in kwargs:
        kwargs["factory"] = SuiteConnection
    return plain_connect(database, *args, **kwargs)


if MODE:
    if MODE == "sealed":
        load_extension()
    TEMPLATE = make_template()
    plain_connect = sqlite3.connect
    # Tests look at the names of classes.
    for name, kind in (("Connection", SuiteConnection), ("Cursor", SuiteCursor)):
        kind.__name__ = kind.__qualname__ = name
        kind.__module__ = "sqlite3"
    for module in (sqlite3, sqlite3.dbapi2):
        module.Connection, module.Cursor = SuiteConnection, SuiteCursor
        module.connect = connect
