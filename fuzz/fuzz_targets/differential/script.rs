//! Scripts: from bytes, over a small grammar, with snippets that are altered byte by byte; or from text.

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// Statements for the connection that was chosen last.
    Sql(String),
    /// What follows is for this connection.
    Connection(usize),
    /// The connection is closed, and opened anew with the next statement.
    Reopen,
    /// Both connections vanish; files stay as they are, but for the shared memory.
    Crash,
    Attach,
    Detach,
}

pub fn from_text(text: &[u8]) -> Vec<Step> {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().map(|line| match line.trim() {
        "@0" => Step::Connection(0),
        "@1" => Step::Connection(1),
        "@reopen" => Step::Reopen,
        "@crash" => Step::Crash,
        "@attach" => Step::Attach,
        "@detach" => Step::Detach,
        _ => Step::Sql(line.to_owned()),
    });
    lines.collect()
}

pub fn from_bytes(bytes: &[u8]) -> Vec<Step> {
    let mut input = Input(bytes);
    let mut steps = vec![Step::Sql(input.beginning())];
    while !input.0.is_empty() {
        steps.push(input.step());
    }
    steps
}

/// What a page of 4,096 bytes with 48 reserved ones can hold: around these lengths a row gets one more overflow
/// page, or its first.
const LENGTHS: [u32; 12] = [
    0, 1, 120, 450, 990, 1_300, 1_990, 3_985, 4_018, 8_060, 12_100, 40_000,
];
const TABLES: [&str; 6] = ["t0", "t1", "t2", "w", "temp.s", "aux.t0"];
const COLUMNS: [&str; 4] = ["a", "b", "c", "d"];
const JOURNAL_MODES: [&str; 7] = [
    "WAL", "DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF", "WAL",
];
const PRAGMAS: [&str; 22] = [
    "cache_size=2",
    "cache_size=10",
    "cache_size=-2000",
    "cache_spill=1",
    "cache_spill=0",
    "synchronous=OFF",
    "synchronous=FULL",
    "synchronous=EXTRA",
    "locking_mode=EXCLUSIVE",
    "locking_mode=NORMAL",
    "wal_autocheckpoint=1",
    "wal_autocheckpoint=0",
    "journal_size_limit=0",
    "temp_store=MEMORY",
    "temp_store=FILE",
    "foreign_keys=ON",
    "secure_delete=ON",
    "user_version=7",
    "page_count",
    "freelist_count",
    "integrity_check",
    "data_version",
];
/// Statements that are altered at random places.
const SNIPPETS: [&str; 16] = [
    "CREATE TABLE x(a PRIMARY KEY, b UNIQUE, c CHECK(c > 0), d REFERENCES t0(a)) STRICT",
    "CREATE VIRTUAL TABLE f USING fts5(a, b)",
    "INSERT INTO f VALUES ('one two', 'three'), ('four', 'five')",
    "SELECT a, length(b), typeof(c) FROM t0 ORDER BY d DESC, a LIMIT 20 OFFSET 1",
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<60) INSERT INTO t0 SELECT x, x, zeroblob(x*70), 'n' FROM n",
    "INSERT INTO t0(a, b) VALUES (1, 2) ON CONFLICT(a) DO UPDATE SET b = b + 1 RETURNING *",
    "UPDATE t1 SET c = (SELECT group_concat(d) FROM t0) WHERE a IN (SELECT a FROM t2)",
    "CREATE TABLE IF NOT EXISTS y AS SELECT * FROM t0 JOIN t1 USING(a)",
    "SELECT sum(a) OVER (PARTITION BY d ORDER BY a ROWS 2 PRECEDING) FROM t0",
    "DELETE FROM t0 WHERE rowid % 2 = 0 RETURNING a",
    "CREATE INDEX IF NOT EXISTS p ON t0(length(b), d) WHERE c IS NOT NULL",
    "ANALYZE; REINDEX; PRAGMA optimize",
    "SELECT count(*), total(length(b)), max(length(c)) FROM t0, t1",
    "CREATE TABLE g(a, b AS (a*2) STORED, c AS (a||'x')); INSERT INTO g(a) VALUES (1), ('y')",
    "ALTER TABLE t1 ADD COLUMN e DEFAULT (1); ALTER TABLE t1 DROP COLUMN b",
    "EXPLAIN QUERY PLAN SELECT * FROM t0 WHERE a = 1 AND d > 'm'",
];

/// Bytes that are used up; zeros when there are no more.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: u32) -> u32 {
        u32::from(self.byte()) % end
    }

    fn of<'b>(&mut self, choices: &[&'b str]) -> &'b str {
        choices[usize::from(self.byte()) % choices.len()]
    }

    fn beginning(&mut self) -> String {
        let vacuum = self.of(&["NONE", "NONE", "FULL", "INCREMENTAL"]);
        let encoding = self.of(&["UTF-8", "UTF-8", "UTF-8", "UTF-16le", "UTF-16be"]);
        let mode = self.of(&JOURNAL_MODES);
        let cache = self.of(&["2", "5", "100"]);
        format!(
            "PRAGMA auto_vacuum={vacuum}; PRAGMA encoding='{encoding}'; PRAGMA journal_mode={mode};
             PRAGMA cache_size={cache}; CREATE TABLE t0(a INTEGER PRIMARY KEY, b, c, d TEXT)"
        )
    }

    fn step(&mut self) -> Step {
        Step::Sql(match self.below(32) {
            0 => return Step::Connection(0),
            1 => return Step::Connection(1),
            2 => return Step::Reopen,
            3 => return Step::Crash,
            4 => return Step::Attach,
            5 => return Step::Detach,
            6 => format!("PRAGMA journal_mode={}", self.of(&JOURNAL_MODES)),
            7 => format!("PRAGMA {}", self.of(&PRAGMAS)),
            8 => format!(
                "PRAGMA wal_checkpoint({})",
                self.of(&["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
            ),
            9 => self
                .of(&[
                    "VACUUM",
                    "PRAGMA incremental_vacuum(3)",
                    "PRAGMA incremental_vacuum",
                    "VACUUM aux",
                ])
                .to_owned(),
            10 => self
                .of(&["BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
                .to_owned(),
            11 => "COMMIT".to_owned(),
            12 => "ROLLBACK".to_owned(),
            13 => format!("SAVEPOINT p{}", self.below(3)),
            14 => format!("ROLLBACK TO p{}", self.below(3)),
            15 => format!("RELEASE p{}", self.below(3)),
            16 => self.create(),
            17 => self.drop_or_alter(),
            18..=21 => self.insert(),
            22 | 23 => {
                let (table, column, value, filter) = (
                    self.of(&TABLES),
                    self.of(&COLUMNS),
                    self.value(),
                    self.filter(),
                );
                format!(
                    "UPDATE OR {} {table} SET {column} = {value} WHERE {filter}",
                    self.of(&["ABORT", "REPLACE", "IGNORE", "ROLLBACK"])
                )
            }
            24 => format!("DELETE FROM {} WHERE {}", self.of(&TABLES), self.filter()),
            25 => self.many(),
            26 | 27 => format!("SELECT * FROM {} WHERE {}", self.of(&TABLES), self.filter()),
            28 => format!(
                "SELECT {0}, count(*) FROM {1} GROUP BY {0} ORDER BY 2, 1",
                self.of(&COLUMNS),
                self.of(&TABLES)
            ),
            _ => self.snippet(),
        })
    }

    fn create(&mut self) -> String {
        let table = self.of(&TABLES);
        match self.below(6) {
            0 | 1 => {
                format!("CREATE TABLE IF NOT EXISTS {table}(a INTEGER PRIMARY KEY, b, c, d TEXT)")
            }
            2 => "CREATE TABLE IF NOT EXISTS w(a, b, c, d, PRIMARY KEY(a, b)) WITHOUT ROWID"
                .to_owned(),
            3 => format!(
                "CREATE INDEX i{} ON {}({}, {})",
                self.below(3),
                table.trim_start_matches("temp.").trim_start_matches("aux."),
                self.of(&COLUMNS),
                self.of(&COLUMNS)
            ),
            4 => format!("CREATE VIEW v{} AS SELECT a, c FROM {table}", self.below(2)),
            _ => format!(
                "CREATE TRIGGER g{} AFTER {} ON t0 BEGIN UPDATE t1 SET c = {} WHERE {}; END",
                self.below(2),
                self.of(&["INSERT", "UPDATE", "DELETE"]),
                self.value(),
                self.filter(),
            ),
        }
    }

    fn drop_or_alter(&mut self) -> String {
        let table = self.of(&TABLES);
        match self.below(6) {
            0 => format!("DROP TABLE IF EXISTS {table}"),
            1 => format!("DROP INDEX IF EXISTS i{}", self.below(3)),
            2 => format!("DROP VIEW IF EXISTS v{}", self.below(2)),
            3 => format!("ALTER TABLE {table} ADD COLUMN e DEFAULT {}", self.below(9)),
            4 => format!(
                "ALTER TABLE {table} RENAME COLUMN {} TO {}",
                self.of(&COLUMNS),
                self.of(&["b", "z"])
            ),
            _ => format!("ALTER TABLE {table} DROP COLUMN {}", self.of(&COLUMNS)),
        }
    }

    fn insert(&mut self) -> String {
        let verb = self.of(&["INSERT", "REPLACE", "INSERT OR IGNORE"]);
        let table = self.of(&TABLES);
        let key = self.key();
        let (b, c, d) = (self.value(), self.value(), self.value());
        format!("{verb} INTO {table} VALUES ({key}, {b}, {c}, {d})")
    }

    /// Many rows at once: pages split, and a small cache spills.
    fn many(&mut self) -> String {
        let (table, rows) = (self.of(&TABLES), self.below(200));
        let (from, b, c) = (self.below(256), self.value(), self.value());
        format!(
            "WITH RECURSIVE n(x) AS (SELECT {from} UNION ALL SELECT x+1 FROM n WHERE x<{from}+{rows})
             REPLACE INTO {table} SELECT x, {b}, {c}, x FROM n"
        )
    }

    fn key(&mut self) -> String {
        match self.byte() {
            byte @ 0..200 => byte.to_string(),
            200..240 => "NULL".to_owned(),
            240..250 => "9223372036854775807".to_owned(),
            byte => format!("-{byte}"),
        }
    }

    fn value(&mut self) -> String {
        match self.below(8) {
            0 => "NULL".to_owned(),
            1 => self.below(256).to_string(),
            2 => format!("{}.5e{}", self.below(10), self.below(30)),
            3 => format!("'{}'", char::from(b'a' + self.byte() % 26)),
            4 => format!("zeroblob({})", self.length()),
            5 => format!("randomblob({})", self.length()),
            _ => format!(
                "printf('%.*c', {}, '{}')",
                self.length(),
                char::from(b'a' + self.byte() % 26)
            ),
        }
    }

    fn length(&mut self) -> u32 {
        let length = LENGTHS[usize::from(self.byte()) % LENGTHS.len()];
        length + self.below(64)
    }

    fn filter(&mut self) -> String {
        let number = self.below(200);
        match self.below(5) {
            0 => "1".to_owned(),
            1 => format!("a = {number}"),
            2 => format!("a % 7 < {}", number % 7),
            3 => format!("length(c) > {}", self.length()),
            _ => format!("{} < {number}", self.of(&COLUMNS)),
        }
    }

    fn snippet(&mut self) -> String {
        let mut text = self.of(&SNIPPETS).as_bytes().to_vec();
        for _ in 0..self.below(4) {
            let at = usize::from(self.byte()) % text.len();
            match self.below(3) {
                0 => text[at] = self.byte(),
                1 => _ = text.remove(at),
                _ => text.insert(at, self.byte()),
            }
            if text.is_empty() {
                break;
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
