//! SQLite's own virtual tables on a sealed database: full-text search (FTS5) and places in a rectangle (R*Tree), beside
//! addresses and tags. All four keep what they know in tables of the database, and so are sealed with it.
//!
//!     cargo run -p zqlite-rs --features bundled,indexes --example search

use rusqlite::{Connection, Result};
use zqlite::keys::{Identity, NewSlot, SlotKey};

const SCHEMA: &str = "
    CREATE TABLE sites(id INTEGER PRIMARY KEY, name TEXT, notes TEXT, kind TEXT, prefix TEXT,
                       longitude REAL, latitude REAL);

    -- FTS5 reads the text from the table, and triggers tell it of changes.
    CREATE VIRTUAL TABLE site_text USING fts5(name, notes, content='sites', content_rowid='id');
    CREATE TRIGGER site_text_insert AFTER INSERT ON sites BEGIN
        INSERT INTO site_text(rowid, name, notes) VALUES (new.id, new.name, new.notes);
    END;
    CREATE TRIGGER site_text_delete AFTER DELETE ON sites BEGIN
        INSERT INTO site_text(site_text, rowid, name, notes)
        VALUES ('delete', old.id, old.name, old.notes);
    END;

    -- R*Tree keeps rectangles; a place is a small one.
    CREATE VIRTUAL TABLE site_place USING rtree(id, west, east, south, north);
    CREATE TRIGGER site_place_insert AFTER INSERT ON sites BEGIN
        INSERT INTO site_place VALUES (new.id, new.longitude, new.longitude, new.latitude, new.latitude);
    END;
    CREATE TRIGGER site_place_delete AFTER DELETE ON sites BEGIN
        DELETE FROM site_place WHERE id = old.id;
    END;

    -- Ours make their triggers themselves.
    CREATE VIRTUAL TABLE site_ip USING cidr(sites, prefix);
    CREATE VIRTUAL TABLE site_tags USING bitmap(sites, kind);

    INSERT INTO sites(name, notes, kind, prefix, longitude, latitude) VALUES
        ('Berlin', 'two racks, fibre to Frankfurt', 'edge', '10.1.0.0/16', 13.4, 52.5),
        ('Frankfurt', 'the core; fibre everywhere', 'core', '10.0.0.0/8', 8.7, 50.1),
        ('Lisbon', 'one rack beside the sea', 'edge', '10.2.0.0/16', -9.1, 38.7);";

/// The first column of all rows.
fn names(db: &Connection, sql: &str) -> Result<Vec<String>> {
    db.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

pub(crate) fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let identity = Identity::generate(&mut zqlite::os_rng());
    let slot = NewSlot {
        key: SlotKey::Recipient(identity.recipient()),
        label: "example".to_owned(),
    };
    let path = folder.path().join("sites.db");
    let db = zqlite::Builder::new(&path)
        .identity(identity)
        .accept_any_maker()
        .create(vec![slot])
        .open()?;
    db.execute_batch(SCHEMA)?;

    // Words, the best hit first.
    let sql = "SELECT sites.name FROM site_text JOIN sites ON sites.id = site_text.rowid
               WHERE site_text MATCH 'fibre' ORDER BY rank, sites.name";
    assert_eq!(names(&db, sql)?.len(), 2);

    // A rectangle around Germany, and what is at the edge of the network in it.
    let germany = "west >= 5.9 AND east <= 15.0 AND south >= 47.3 AND north <= 55.1";
    let sql = format!(
        "SELECT name FROM site_place JOIN sites USING (id)
         JOIN site_tags ON site_tags.rowid = sites.id
         WHERE {germany} AND site_tags.kind = 'edge'"
    );
    assert_eq!(names(&db, &sql)?, ["Berlin"]);

    // Where an address belongs.
    let sql = "SELECT name FROM site_ip JOIN sites ON sites.id = site_ip.rowid
               WHERE longest_match = '10.2.3.4'";
    assert_eq!(names(&db, sql)?, ["Lisbon"]);

    // A row that is replaced leaves none of them behind: that takes recursive triggers, which the builder switches on.
    db.execute_batch(
        "REPLACE INTO sites VALUES (3, 'Porto', 'fibre at last', 'edge', '10.3.0.0/16', -8.6, 41.1)",
    )?;
    let sql = "SELECT name FROM sites WHERE id IN (SELECT rowid FROM site_text WHERE site_text MATCH 'sea')";
    assert_eq!(names(&db, sql)?, Vec::<String>::new());
    let sql = "SELECT name FROM site_ip JOIN sites ON sites.id = site_ip.rowid
               WHERE longest_match = '10.2.3.4'";
    assert_eq!(names(&db, sql)?, ["Frankfurt"]);
    assert_eq!(names(&db, "PRAGMA integrity_check")?, ["ok"]);

    // Nothing of it stands in the file.
    drop(db);
    let bytes = std::fs::read(&path)?;
    for word in ["fibre", "Porto", "site_text"] {
        assert!(
            !bytes
                .windows(word.len())
                .any(|window| window == word.as_bytes())
        );
    }
    Ok(())
}
