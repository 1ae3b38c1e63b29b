//! Every answer against a search through all prefixes, which shares no code with the product.

use std::cell::Cell;
use std::net::IpAddr;

use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::Value;
use zqlite::index::cidr::{Prefix, PrefixTable};

use super::{ids, memory, values};
use crate::history::{self, Subject};

/// Family, address with the first bit on top, length.
type Plain = (u8, u128, u32);

fn plain(text: &str) -> Plain {
    let (address, len) = text.split_once('/').unwrap_or((text, "-1"));
    let len: i32 = len.parse().unwrap();
    let (family, bits, max): (u8, u128, u32) = match address.parse().unwrap() {
        IpAddr::V4(address) => (4, u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (6, u128::from(address), 128),
    };
    let len = u32::try_from(len).unwrap_or(max);
    // ::ffff:0:0/96 is IPv4.
    if family == 6 && len >= 96 && bits >> 32 == 0xffff {
        return (4, bits << 96, len - 96);
    }
    (family, bits, len)
}

fn covers(outer: Plain, inner: Plain) -> bool {
    let differing = outer.1 ^ inner.1;
    let first = u128::from(outer.2 == 0) * 128 + u128::from(differing.leading_zeros());
    outer.0 == inner.0 && outer.2 <= inner.2 && first >= u128::from(outer.2)
}

/// The rows that each relation finds, in the order that is promised, the keys of one prefix ascending.
fn expected(rows: &[(i64, Plain)], asked: Plain) -> [Vec<i64>; 4] {
    let sorted = |mut found: Vec<(i64, Plain)>, longest_first: bool| {
        found.sort_by_key(|(id, (_, bits, len))| {
            let key = if longest_first {
                u128::from(128 - len)
            } else {
                *bits
            };
            (key, *len, *id)
        });
        found
    };
    let covering: Vec<_> = rows
        .iter()
        .filter(|row| covers(row.1, asked))
        .copied()
        .collect();
    let covering = sorted(covering, true);
    let inside: Vec<_> = rows
        .iter()
        .filter(|row| covers(asked, row.1))
        .copied()
        .collect();
    let inside = sorted(inside, false);
    let longest = covering.first().map(|row| row.1);
    let ids = |rows: &[(i64, Plain)]| rows.iter().map(|row| row.0).collect::<Vec<_>>();
    let overlapping: Vec<_> = covering
        .iter()
        .filter(|row| row.1 != asked)
        .chain(&inside)
        .copied()
        .collect();
    let longest: Vec<_> = covering
        .iter()
        .filter(|row| Some(row.1) == longest)
        .copied()
        .collect();
    [
        ids(&longest),
        ids(&covering),
        ids(&inside),
        ids(&overlapping),
    ]
}

const RELATIONS: [&str; 4] = ["longest_match", "covers", "within", "overlaps"];

fn found(db: &Connection, index: &str, asked: &str) -> [Vec<i64>; 4] {
    RELATIONS.map(|relation| {
        let sql = format!("SELECT rowid FROM {index} WHERE {relation} = '{asked}'");
        ids(db, &sql)
    })
}

/// Few bits, so that prefixes nest.
fn dense(number: u8) -> String {
    let len = number % 6;
    let bits = (number.wrapping_mul(37) >> 3) & !(0xff_u8 >> len);
    match number % 4 {
        0 => format!("fd{bits:02x}::/{}", 8 + len),
        3 => format!("::ffff:10.{bits}.0.0/{}", 104 + len),
        _ => format!("10.{bits}.0.0/{}", 8 + len),
    }
}

fn agrees(db: &Connection) {
    let rows: Vec<(i64, Plain)> = values(db, "SELECT id, a FROM t WHERE a IS NOT NULL")
        .into_iter()
        .map(|row| match &row[..] {
            [Value::Integer(id), Value::Text(text)] => (*id, plain(text)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        ids(db, "SELECT count(*) FROM x"),
        [i64::try_from(rows.len()).unwrap()]
    );
    for asked in ["10.40.0.0", "10.0.0.0/9", "fd10::1", "::/0", "0.0.0.0/0"] {
        assert_eq!(
            found(db, "x", asked),
            expected(&rows, plain(asked)),
            "{asked}"
        );
    }
    for (id, (_, _, len)) in rows {
        let sql = format!("SELECT length FROM x WHERE rowid = {id}");
        assert_eq!(ids(db, &sql), [i64::from(len)]);
    }
    assert!(history::rows(db) >= 0);
}

#[test]
fn the_index_agrees_with_its_table_through_every_history() {
    let subject = Subject {
        index: "CREATE VIRTUAL TABLE x USING cidr(t, a)",
        values: |number| {
            let prefix = match number {
                0 | 1 => "NULL".to_owned(),
                number => format!("'{}'", dense(number)),
            };
            [prefix, number.to_string()]
        },
        check: agrees,
    };
    history::runs(&subject, 48);
}

fn random_prefix() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (2..255_u8).prop_map(dense),
        1 => (any::<u32>(), 0..=32_u8).prop_map(|(bits, len)| {
            let bits = bits & !u32::MAX.checked_shr(len.into()).unwrap_or(0);
            format!("{}/{len}", std::net::Ipv4Addr::from(bits))
        }),
        1 => (any::<u128>(), 0..=128_u8).prop_map(|(bits, len)| {
            let bits = bits & !u128::MAX.checked_shr(len.into()).unwrap_or(0);
            format!("{}/{len}", std::net::Ipv6Addr::from(bits))
        }),
    ]
}

fn found_in(table: &PrefixTable<i64>, asked: Prefix) -> [Vec<i64>; 4] {
    let id = |(_, id): (Prefix, &i64)| *id;
    [
        table.longest_match(asked).into_iter().map(id).collect(),
        table.all_matches(asked).map(id).collect(),
        table.contained_in(asked).map(id).collect(),
        table.overlaps(asked).map(id).collect(),
    ]
}

#[test]
fn a_table_in_memory_agrees_with_brute_force_through_insertions_and_removals() {
    let checks = Cell::new(0);
    let ops = prop::collection::vec((any::<bool>(), random_prefix()), 1..300);
    let config = ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(ops in ops, asked in prop::collection::vec(random_prefix(), 8))| {
        let mut table = PrefixTable::new();
        let mut model: Vec<(i64, Plain)> = Vec::new();
        for (id, (insert, text)) in (0..).zip(&ops) {
            let (prefix, as_plain): (Prefix, _) = (text.parse().unwrap(), plain(text));
            let old = model.iter().position(|row| row.1 == as_plain).map(|at| model.remove(at).0);
            // Twice as many insertions.
            if *insert || id % 3 == 0 {
                prop_assert_eq!(table.insert(prefix, id), old);
                model.push((id, as_plain));
            } else {
                prop_assert_eq!(table.remove(prefix), old);
            }
            prop_assert_eq!(table.len(), model.len());
            if id % 16 == 0 {
                prop_assert_eq!(found_in(&table, prefix), expected(&model, as_plain));
            }
        }
        for text in &asked {
            prop_assert_eq!(found_in(&table, text.parse().unwrap()), expected(&model, plain(text)));
            checks.set(checks.get() + 1);
        }
        prop_assert_eq!(table.iter().count(), model.len());
    });
    assert!(checks.get() >= 96 * 8);
}

/// xorshift64*: the same prefixes each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn prefix(&mut self) -> String {
        let (bits, more, len) = (self.next(), self.next(), self.next());
        if len % 2 == 0 {
            // Mostly from /12 to /28.
            let len = if len % 64 == 0 {
                len / 64 % 33
            } else {
                12 + len / 64 % 17
            };
            let bits = u32::try_from(bits >> 32).unwrap();
            let bits = bits
                & !u32::MAX
                    .checked_shr(u32::try_from(len).unwrap())
                    .unwrap_or(0);
            return format!("{}/{len}", std::net::Ipv4Addr::from(bits));
        }
        // Below 2000::/3, as on the Internet, or anywhere.
        let len = if len % 64 == 1 {
            len / 64 % 129
        } else {
            20 + len / 64 % 45
        };
        let mut bits = u128::from(bits) << 64 | u128::from(more);
        if more % 8 != 0 {
            bits = bits >> 3 | 1 << 125;
        }
        let bits = bits
            & !u128::MAX
                .checked_shr(u32::try_from(len).unwrap())
                .unwrap_or(0);
        format!("{}/{len}", std::net::Ipv6Addr::from(bits))
    }
}

#[test]
fn a_hundred_thousand_prefixes_of_both_families_agree_with_brute_force() {
    let mut numbers = Numbers(1);
    let texts: Vec<String> = (0..100_000).map(|_| numbers.prefix()).collect();
    let db = memory();
    db.execute_batch("BEGIN; CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)")
        .unwrap();
    {
        let mut insert = db.prepare("INSERT INTO t(id, a) VALUES (?1, ?2)").unwrap();
        for (id, text) in (0_i64..).zip(&texts) {
            insert.execute((id, text)).unwrap();
        }
    }
    db.execute_batch("CREATE VIRTUAL TABLE x USING cidr(t, a); COMMIT")
        .unwrap();
    let rows: Vec<(i64, Plain)> = (0..).zip(texts.iter().map(|text| plain(text))).collect();
    let families = rows.iter().filter(|row| row.1.0 == 4).count();
    assert!((40_000..60_000).contains(&families), "{families}");
    // The first are answered from the shadow table, the others from memory: it loads after 6,250 lookups.
    let asked: Vec<String> = (0..300).map(|_| numbers.prefix()).collect();
    let addresses = asked.iter().map(|text| text.split_once('/').unwrap().0);
    let asked: Vec<&str> = asked.iter().map(String::as_str).chain(addresses).collect();
    let right: Vec<_> = asked
        .iter()
        .map(|text| expected(&rows, plain(text)))
        .collect();
    let matched = right.iter().filter(|found| !found[0].is_empty()).count();
    assert!(matched > 300, "{matched}");
    let mut ran = 0;
    for _ in 0..3 {
        for (text, right) in asked.iter().zip(&right) {
            assert_eq!(&found(&db, "x", text), right, "{text}");
            ran += RELATIONS.len();
        }
    }
    assert_eq!(ran, 7_200);
    super::assert_agrees(&db);
}
