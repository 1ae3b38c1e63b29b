//! `mc:CIPHER`: SQLite3MultipleCiphers, as the Python package apsw-sqlite3mc has it compiled in.
//!
//! Python does no more than to load this extension: its entry point runs the workload, the same machine code as for
//! the other engines, on the SQLite that loaded it.

use core::ffi::{c_char, c_int};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bench_work::{Engine, Opener};
use rusqlite::{Connection, ffi};

mod cipher;

use cipher::Cipher;

/// Arguments of the workload, one to a line.
const ARGS: &str = "BENCH_ARGS";

/// SQLite calls this when Python loads the extension.
///
/// # Safety
/// `api` is the table of functions that SQLite hands to an extension.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an entry point")]
pub unsafe extern "C" fn bench_init(
    _db: *mut ffi::sqlite3,
    _message: *mut *mut c_char,
    api: *mut ffi::sqlite3_api_routines,
) -> c_int {
    let ran = std::panic::catch_unwind(|| {
        // SAFETY: by the contract; the table lives as long as the process.
        unsafe { ffi::rusqlite_extension_init2(api) }.context("an older SQLite")?;
        let args = std::env::var(ARGS).context(ARGS)?;
        bench_work::run(args.lines().map(Into::into), |name, _| {
            let cipher = name
                .strip_prefix("mc:")
                .context("there is no such engine here")?;
            Ok(Box::new(MultipleCiphers(cipher.parse()?)))
        })
    });
    match ran {
        Ok(Ok(())) => ffi::SQLITE_OK,
        Ok(Err(error)) => {
            #[expect(clippy::print_stderr, reason = "what failed")]
            {
                eprintln!("{error:#}");
            }
            ffi::SQLITE_ERROR
        }
        Err(_) => ffi::SQLITE_ERROR,
    }
}

struct MultipleCiphers(Cipher);

impl Engine for MultipleCiphers {
    fn open(&self, path: &Path) -> Result<Connection> {
        let connection = Connection::open(path)?;
        self.0.key(&connection)?;
        Ok(connection)
    }

    fn opener(&self, _: &Path, _: u32) -> Result<Opener> {
        bail!("SQLite3MultipleCiphers knows no recipients")
    }

    fn group(&self, _: &Path, _: u32, _: RangeInclusive<u32>) -> Result<Vec<Duration>> {
        bail!("SQLite3MultipleCiphers has no writer for many callers")
    }
}
