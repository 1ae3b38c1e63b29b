//! What stands at the end of each `--help`.

pub(super) const ZQLITE: &str = "\
Exit status:
  0 done            1 another failure        2 wrong command line
  3 no key opens it 4 altered or damaged     5 signature missing or not the expected one

Examples:
  zqlite keygen -o me.identity > me.recipient
  zqlite encrypt plain.db sealed.db -R me.recipient
  zqlite query sealed.db -i me.identity \"SELECT count(*) FROM t\"
  zqlite demo";

pub(super) const KEYGEN: &str = "\
Examples:
  zqlite keygen -o me.identity > me.recipient
  recipient=$(zqlite keygen -o me.identity | tail -n 1)";

pub(super) const RECIPIENT: &str = "\
Examples:
  zqlite recipient me.identity";

pub(super) const SIGNING_KEY_GENERATE: &str = "\
Examples:
  zqlite signing-key generate -o owner.signing-key > owner.verify";

pub(super) const SIGNING_KEY_PUBLIC: &str = "\
Examples:
  zqlite signing-key public owner.signing-key > owner.verify";

pub(super) const RECIPIENTS_LIST: &str = "\
Examples:
  zqlite recipients list sealed.db -i me.identity
  zqlite recipients list sealed.db -i me.identity --json";

pub(super) const RECIPIENTS_ADD: &str = "\
Examples:
  zqlite recipients add sealed.db -i me.identity -r age1pq1… --label laptop
  zqlite recipients add sealed.db -i me.identity -R new.recipients --sign-with owner.signing-key
  zqlite recipients add sealed.db -i me.identity --new-passphrase --label rescue";

pub(super) const RECIPIENTS_REMOVE: &str = "\
Whoever is removed still knows the file's key, and can read what he copied, and what he can still get hold
of, until `zqlite rekey` has replaced it.

Examples:
  zqlite recipients remove sealed.db laptop -i me.identity
  zqlite recipients remove sealed.db '#3' -i me.identity --sign-with owner.signing-key";

pub(super) const REKEY: &str = "\
Others may read and write meanwhile. Ctrl-C stops it: the new key is in use then, and the same command
goes on where it stopped. Everything is written under the new key from the first moment; the old one
leaves the file when no page is left under it and nobody reads the log any more.

Examples:
  zqlite rekey sealed.db -i me.identity
  zqlite rekey sealed.db -i me.identity --sign-with owner.signing-key --rate 0
  zqlite rekey sealed.db -i me.identity --compromised --keep me --keep rescue";

pub(super) const ENCRYPT: &str = "\
PLAIN stays as it is; delete it yourself. SEALED appears only when it is complete.

Examples:
  zqlite encrypt plain.db sealed.db -r age1pq1…
  zqlite encrypt plain.db sealed.db -R team.recipients --passphrase-file rescue.txt
  zqlite encrypt plain.db sealed.db -R team.recipients --sign-with owner.signing-key";

pub(super) const DECRYPT: &str = "\
Examples:
  zqlite decrypt sealed.db plain.db -i me.identity --signed-by owner.verify
  pass show db | zqlite decrypt sealed.db plain.db --passphrase-file -";

pub(super) const COMPRESS: &str = "\
A view takes the name of TABLE, with triggers that write through it; docs/guides/compression.md
says what differs from a table. The length of a compressed value tells something about it:
SECURITY.md says what must not be compressed.

Examples:
  zqlite compress sealed.db peer meta -i me.identity
  zqlite compress sealed.db peer meta -i me.identity --retrain
  zqlite compress sealed.db -i me.identity --list";

pub(super) const DECOMPRESS: &str = "\
After the last compressed column of TABLE, the table is what it was before.

Examples:
  zqlite decompress sealed.db peer meta -i me.identity";

pub(super) const QUERY: &str = "\
JSON keeps integers exact, writes reals so that they read back the same, infinity as 1e999, blobs as
hexadecimal text, NULL as null. A second column of the same name becomes name:1.

Examples:
  zqlite query sealed.db -i me.identity \"SELECT * FROM t\" --json
  zqlite query sealed.db -i me.identity --write - < changes.sql
  zqlite query sealed.db -i me.identity --signed-by owner.verify@FILE-ID \"SELECT 1\"";

pub(super) const SHELL: &str = "\
Statements end with a semicolon and may span lines; .help lists the commands. With stdin from a file
or a pipe nothing is prompted for, and the first error ends the shell with its status.
A dump of a database with virtual tables writes the schema table: --allow-schema-writes permits that.
Give it only for a dump that you trust.

Examples:
  zqlite shell sealed.db -i me.identity
  echo .dump | zqlite shell sealed.db -i me.identity --read-only > dump.sql
  zqlite shell new.db -i me.identity --allow-schema-writes < dump.sql";

pub(super) const INSPECT: &str = "\
Exit status is 4 if a header copy is damaged, 1 if the file is not sealed.

Examples:
  zqlite inspect sealed.db
  zqlite inspect sealed.db --json";

pub(super) const VERIFY: &str = "\
Exit status is 4 if anything is damaged, even where the file still opens.

Examples:
  zqlite verify sealed.db -i me.identity --signed-by owner.verify@FILE-ID
  zqlite verify sealed.db -i me.identity --min-generation 3 --json
  zqlite verify sealed.db -i me.identity --anchor /safe/place/anchor
  zqlite verify sealed.db --seal sealed.db.seal --signed-by owner.verify";

pub(super) const SEAL: &str = "\
The WAL is folded in first; while the file is read, others may read, and write to the log. What is
committed later changes the file, and the seal no longer fits: it is about one moment.

Examples:
  zqlite seal sealed.db -i me.identity --sign-with owner.signing-key
  zqlite seal sealed.db -i me.identity --sign-with owner.signing-key -o monday.seal --json
  zqlite verify sealed.db --seal monday.seal --signed-by owner.verify";

pub(super) const PROOF: &str = "\
The page in a proof is as it stands in the file: nothing of it can be read without a key.

Examples:
  zqlite proof sealed.db --seal monday.seal --page 3 -o page-3.proof
  zqlite proof --check page-3.proof --seal monday.seal --signed-by owner.verify";

pub(super) const BACKUP: &str = "\
The backup is the state after one commit, with the WAL folded in, and every page of it was opened. For the recipients of
SEALED it is copied as it is, with the same file id; for others, if any are named, it is sealed anew. Interrupted, the
same command goes on where it stopped, unless it was for others.

Examples:
  zqlite backup app.db app.backup -i me.identity --signed-by owner.verify
  zqlite backup app.db app.backup -i me.identity --sign-with owner.signing-key
  zqlite backup app.db vault.backup -i me.identity -R vault.recipients";

pub(super) const RESTORE: &str = "\
Needs no key that opens the backup. SEALED appears only if every byte of it is what was sealed.

Examples:
  zqlite restore app.backup app.db --seal app.backup.seal --signed-by owner.verify";

pub(super) const SALVAGE: &str = "\
OUT has a file id and a key of its own, for the recipients of DAMAGED unless others are named. Nothing may write to
DAMAGED meanwhile. Exit status is 4 if anything was lost; the report says which pages do not open and which rows are
missing. Without page 1 or a header copy nothing can be saved.

Examples:
  zqlite salvage damaged.db saved.db -i me.identity
  zqlite salvage damaged.db saved.db -i me.identity -R team.recipients --json";

pub(super) const DEMO: &str = "\
Examples:
  zqlite demo
  zqlite demo --dir story";

pub(super) const COMPLETIONS: &str = "\
Examples:
  zqlite completions bash > ~/.local/share/bash-completion/completions/zqlite
  zqlite completions fish > ~/.config/fish/completions/zqlite.fish";
