//! `zqlite signing-key`

use std::path::Path;

use anyhow::Result;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use zqlite::pq::SigningKey;

use crate::keys;
use crate::output::{self, Remarks};
use crate::secret_file::KeyPairText;

pub(super) fn generate(path: Option<&Path>, remarks: Remarks) -> Result<()> {
    let key = SigningKey::generate(&mut UnwrapErr(SysRng));
    let key_pair = KeyPairText {
        public_name: "verifying key",
        public: key.verifying_key().to_string(),
        secret: key.to_text(),
    };
    key_pair.write(path, remarks)
}

pub(super) fn public(path: &Path, remarks: Remarks) -> Result<()> {
    let key = keys::signing_key(path, remarks)?;
    Ok(output::print_line(&key.verifying_key().to_string())?)
}
