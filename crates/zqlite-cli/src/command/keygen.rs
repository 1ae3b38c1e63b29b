//! `zqlite keygen`

use std::path::Path;

use anyhow::Result;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use zqlite::pq::Identity;

use crate::output::Remarks;
use crate::secret_file::KeyPairText;

pub(super) fn run(path: Option<&Path>, remarks: Remarks) -> Result<()> {
    let identity = Identity::generate(&mut UnwrapErr(SysRng));
    let key_pair = KeyPairText {
        public_name: "recipient",
        public: identity.recipient().to_string(),
        secret: identity.to_text(),
    };
    key_pair.write(path, remarks)
}
