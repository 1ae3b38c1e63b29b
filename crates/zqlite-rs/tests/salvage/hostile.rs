//! Files that somebody with a key made to mislead whoever salvages them.

use std::path::Path;

use zqlite::pq::page::{PageContext, PageOpener, PageSealer, Place};

use crate::every_page::run;
use crate::support::{
    PAGE, assert_clean, builder, count, create, fill, header_of, one, open, page_at, peek, poke,
};

/// Changes the content of a page and seals it again.
fn rewrite(path: &Path, number: u32, change: impl FnOnce(&mut [u8])) {
    let opened = header_of(path);
    let context = PageContext {
        file_id: *opened.header.file_id(),
        number,
        place: Place::Database,
    };
    let mut page = peek(path, page_at(number.into()), PAGE);
    PageOpener::new()
        .open(opened.epochs.newest(), &context, &mut page)
        .unwrap();
    change(&mut page);
    PageSealer::new(opened.epochs.newest(), &[number.to_be_bytes()[3]; 24])
        .seal(&context, &mut page)
        .unwrap();
    poke(path, page_at(number.into()), &page);
}

/// Points every child of an interior page to one page.
fn point_to(page: &mut [u8], child: u32) {
    assert_eq!(page[0], 5, "an interior page of a table");
    page[8..12].copy_from_slice(&child.to_be_bytes());
    let cells = usize::from(u16::from_be_bytes([page[3], page[4]]));
    for cell in 0..cells {
        let at = 12 + 2 * cell;
        let at = usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
        page[at..at + 4].copy_from_slice(&child.to_be_bytes());
    }
}

#[test]
fn pages_that_are_their_own_children_end_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("a.db"), folder.path().join("out.db"));
    let connection = create(&path);
    connection
        .execute_batch("CREATE TABLE u(x); INSERT INTO u VALUES (1)")
        .unwrap();
    fill(&connection, 300);
    let root: u32 = one(
        &connection,
        "SELECT rootpage FROM sqlite_schema WHERE name = 't'",
    );
    let leaf: u32 = one(
        &connection,
        "SELECT pageno FROM dbstat WHERE name = 't' AND pagetype = 'leaf' ORDER BY path LIMIT 1",
    );
    drop(connection);
    let whole = std::fs::read(&path).unwrap();
    let mut done = 0;
    for child in [root, leaf, 1, 0, u32::MAX] {
        std::fs::write(&path, &whole).unwrap();
        rewrite(&path, root, |page| point_to(page, child));
        let report = run(&path, &out).unwrap();
        assert!(!report.is_complete(), "{child}");
        assert_eq!(report.bad_pages, [0; 0]);
        let made = open(&out);
        assert!(count(&made) < 300, "{child}");
        assert_eq!(one::<i64>(&made, "SELECT x FROM u"), 1);
        drop(made);
        assert_clean(&out);
        done += 1;
    }
    assert_eq!(done, 5);
    // The untouched file is salvaged whole.
    std::fs::write(&path, &whole).unwrap();
    assert!(run(&path, &out).unwrap().is_complete());
}

#[test]
fn a_schema_that_lies_makes_nothing_but_tables() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("a.db"), folder.path().join("out.db"));
    let connection = create(&path);
    fill(&connection, 50);
    drop(connection);
    let connection = builder(&path).allow_schema_writes().open().unwrap();
    let stolen = folder.path().join("stolen.db");
    let attach = format!("ATTACH '{}' AS stolen", stolen.display());
    connection
        .execute_batch(
            "PRAGMA writable_schema=ON;
             CREATE TABLE twin(a INTEGER PRIMARY KEY, b TEXT); CREATE TABLE gone(x); CREATE TABLE far(x);
             UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 't') WHERE name = 'twin';
             UPDATE sqlite_schema SET rootpage = 4000000 WHERE name = 'far';",
        )
        .unwrap();
    connection
        .execute(
            "UPDATE sqlite_schema SET sql = ?1 WHERE name = 'gone'",
            [attach],
        )
        .unwrap();
    drop(connection);
    let report = run(&path, &out).unwrap();
    assert!(!report.is_complete());
    assert!(!stolen.exists());
    let made = open(&out);
    assert_eq!(count(&made), 50);
    let names: String = one(
        &made,
        "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE rootpage > 0 ORDER BY name)",
    );
    assert!(
        !names.contains("gone") && !names.contains("twin"),
        "{names}"
    );
    drop(made);
    assert_clean(&out);
}
