// Creates, fills, reopens and checks a sealed file. Arguments: extension, URI, URI with a wrong key.
import assert from 'node:assert';
import { DatabaseSync } from 'node:sqlite';

const [extension, uri, wrong] = process.argv.slice(2);
const loader = new DatabaseSync(':memory:', { allowExtension: true });
loader.loadExtension(extension);
loader.close();

let db = new DatabaseSync(uri);
assert.equal(db.prepare('PRAGMA journal_mode=WAL').get().journal_mode, 'wal');
db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT); BEGIN');
const insert = db.prepare('INSERT INTO t(x) VALUES (?)');
for (let i = 0; i < 1000; i++) insert.run(`very secret words ${i}`);
db.exec('COMMIT');
db.close();

db = new DatabaseSync(uri);
assert.equal(db.prepare('SELECT count(*) AS n FROM t').get().n, 1000);
assert.equal(Object.values(db.prepare('PRAGMA zqlite_verify').get())[0], 'ok');
db.close();
assert.throws(() => new DatabaseSync(wrong).exec('SELECT * FROM t'));
console.log('1000 rows');
