//! Whether the time that a secret takes depends on the secret.
//!
//! Run under valgrind's memcheck, with secret bytes marked as undefined: memcheck follows them through every
//! computation and reports each branch ("conditional jump depends on uninitialised value") and each address
//! ("use of uninitialised value") that depends on one. What may depend on a secret, because it is public in the
//! end, stands in `public.supp`, each entry with its reason.
//!
//! Ends with status 1 if a case is reported, if a case lost its secret on the way and so shows nothing, or if one
//! of the leaks that are put in on purpose is *not* reported. `.ci/run constant_time` runs it for both backends of
//! AES-256-GCM.

use std::process::ExitCode;

mod cases;
mod memcheck;
mod watch;

fn main() -> ExitCode {
    let Some(mut watch) = watch::Watch::new() else {
        eprintln!("run this under valgrind: .ci/run constant_time");
        return ExitCode::from(2);
    };
    cases::leaks(&mut watch);
    cases::mlkem(&mut watch);
    cases::xwing(&mut watch);
    cases::slot(&mut watch);
    cases::header(&mut watch);
    cases::aead(&mut watch);
    cases::pages(&mut watch);
    cases::journal(&mut watch);
    cases::wal_mask(&mut watch);
    watch.finish()
}
