/* The C API of zqlite: what sqlite3.h lacks, and no more. Generated from crates/zqlite-ext/src; do not edit.
 *
 * Functions return a ZQLITE_ code. Where one takes `error`, it may be null; else it receives null, or a message to be
 * freed with zqlite_free. All functions may be called from any thread. Keys are copied, and wiped with their keyring.
 *
 * The library has no SQLite in it: it uses the one that loads it. Programs that link it say, before they open their
 * first connection: sqlite3_auto_extension((void (*)(void))zqlite_auto_init); and open a connection.
 */

#ifndef ZQLITE_H
#define ZQLITE_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

struct sqlite3_api_routines;

/*
 Done.
 */
#define ZQLITE_OK 0

/*
 Any failure without a code of its own; the message says which.
 */
#define ZQLITE_ERROR 1

/*
 An argument is null or makes no sense.
 */
#define ZQLITE_MISUSE 2

/*
 No given key opens the file.
 */
#define ZQLITE_NO_KEY 3

/*
 The file is altered or damaged.
 */
#define ZQLITE_DAMAGED 4

/*
 A signature is missing, or not the expected one.
 */
#define ZQLITE_SIGNATURE 5

/*
 The progress callback asked to stop.
 */
#define ZQLITE_INTERRUPTED 6

/*
 No SQLite has loaded the library yet: see `zqlite_auto_init`.
 */
#define ZQLITE_NOT_LOADED 7

/*
 A defect of zqlite.
 */
#define ZQLITE_INTERNAL 8

/*
 There is no signature.
 */
#define ZQLITE_UNSIGNED 0

/*
 The signature verifies under the key that the header names itself: that proves nothing about who made the file.
 */
#define ZQLITE_SIGNED 1

/*
 The signature does not verify.
 */
#define ZQLITE_SIGNED_WRONGLY 2

/*
 Keys that may open files. It may be used for several files, and by several threads.
 */
typedef struct zqlite_keyring zqlite_keyring;

/*
 What the header of a file claims. Nothing here is proved.
 */
typedef struct {
  /*
   Length of the file in bytes.
   */
  uint64_t file_len;
  /*
   Length of SQLite's database in bytes.
   */
  uint64_t database_len;
  /*
   Counts the acts of the owner.
   */
  uint64_t generation;
  /*
   Counts the other changes of the header since the last act of the owner.
   */
  uint64_t revision;
  /*
   Page size in bytes.
   */
  uint32_t page_size;
  /*
   Number of the newest key.
   */
  uint32_t epoch;
  /*
   How many keys, passphrases and raw keys open the file.
   */
  uint32_t slots;
  /*
   The file's id.
   */
  uint8_t file_id[16];
  /*
   `ZQLITE_UNSIGNED`, `ZQLITE_SIGNED` or `ZQLITE_SIGNED_WRONGLY`.
   */
  uint8_t signature;
  /*
   1 if the two copies of the header are the same bytes, as they are in a healthy file.
   */
  uint8_t copies_are_identical;
  /*
   1 if a WAL stands beside the file.
   */
  uint8_t has_wal;
  /*
   1 if a rollback journal stands beside the file.
   */
  uint8_t has_journal;
} zqlite_inspection;

/*
 Told now and then by long work, in bytes; what it returns says whether to go on (0) or to stop.
 */
typedef int (*zqlite_progress)(void *context, uint64_t done, uint64_t total);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The version of the library, as text that lives as long as the process.
 */
const char *zqlite_version(void);

/*
 Frees a text that a function of this library gave out. Null is let pass.

 # Safety
 The text came from this library, and was not freed before.
 */
void zqlite_free(char *text);

/*
 Why the last call of SQLite on this thread failed, if it was for a reason of the VFS: SQLite itself has but a code.
 The reason is given once, to be freed with `zqlite_free`; null if there is none.
 */
char *zqlite_last_error(void);

/*
 A keyring without keys, to be freed with `zqlite_keyring_free`.
 */
zqlite_keyring *zqlite_keyring_new(void);

/*
 Wipes the keys and frees the keyring; files that were registered with it keep theirs. Null is let pass.

 # Safety
 The keyring came from `zqlite_keyring_new`, and was not freed before.
 */
void zqlite_keyring_free(zqlite_keyring *keyring);

/*
 Adds the identities (`AGE-SECRET-KEY-PQ-1…`) of a text, one on a line, comments beside them.

 # Safety
 The keyring is not freed; `text` has `len` bytes; `error` is null or a place for a message.
 */
int zqlite_keyring_add_identity(zqlite_keyring *keyring, const char *text, size_t len, char **error);

/*
 Adds the identities of a file.

 # Safety
 The keyring is not freed; `file` is a path; `error` is null or a place for a message.
 */
int zqlite_keyring_add_identity_file(zqlite_keyring *keyring, const char *file, char **error);

/*
 Adds a passphrase: exactly these bytes.

 # Safety
 The keyring is not freed; `passphrase` has `len` bytes; `error` is null or a place for a message.
 */
int zqlite_keyring_add_passphrase(zqlite_keyring *keyring, const void *passphrase, size_t len, char **error);

/*
 Adds the passphrase of a file; one line end at its end is dropped.

 # Safety
 The keyring is not freed; `file` is a path; `error` is null or a place for a message.
 */
int zqlite_keyring_add_passphrase_file(zqlite_keyring *keyring, const char *file, char **error);

/*
 Adds a raw key of 32 bytes.

 # Safety
 The keyring is not freed; `key` has 32 bytes; `error` is null or a place for a message.
 */
int zqlite_keyring_add_raw_key(zqlite_keyring *keyring, const uint8_t *key, char **error);

/*
 Adds the raw key of a file: 32 bytes, or 64 hexadecimal digits.

 # Safety
 The keyring is not freed; `file` is a path; `error` is null or a place for a message.
 */
int zqlite_keyring_add_raw_key_file(zqlite_keyring *keyring, const char *file, char **error);

/*
 Registers keys and rules for a path: from now on `sqlite3_open_v2(path, &db, flags, "zqlite")` opens it, and so does
 a URI with `vfs=zqlite`. The path need not exist; it is resolved now. What was registered before is replaced.

 `keyring`: null for no keys. `signed_by`: whose files are accepted, as the text of a verifying key or the path of a
 file that holds one, with `@FILE-ID` behind it if it has to be that file; null if nothing is expected.
 `accept_any_maker`: not 0 to open a file whoever made it, which an identity needs if `signed_by` is null.
 `create_recipients`: recipients (`age1pq1…`), one on a line, to whom one new file may be sealed; null if none may be
 created.

 # Safety
 The keyring is null or not freed; texts are strings or null; `error` is null or a place for a message.
 */
int zqlite_register(const char *file,
                    const zqlite_keyring *keyring,
                    const char *signed_by,
                    int accept_any_maker,
                    const char *create_recipients,
                    char **error);

/*
 Forgets what is registered for a path; connections that are open stay so. Not an error if there is nothing.

 # Safety
 `file` is a path; `error` is null or a place for a message.
 */
int zqlite_unregister(const char *file, char **error);

/*
 Reads the header of a sealed file, without a key.

 `signer`: a place for the text of the signer's verifying key, to be freed with `zqlite_free`, null if the file is not
 signed; or null.

 # Safety
 `file` is a path; `out` is a place for the result; `signer` and `error` are null or places for texts.
 */
int zqlite_inspect(const char *file,
                   zqlite_inspection *out,
                   char **signer,
                   char **error);

/*
 Checks every page, both copies of the header, the WAL and SQLite's structures, beside others who use the file.

 Damage is `ZQLITE_DAMAGED`, with one problem on a line in `error`. `signed_by` as in `zqlite_register`; null accepts
 any maker. `progress` may be null.

 # Safety
 `file` is a path; the keyring is not freed; `signed_by` is a string or null; `progress` may be called with `context`;
 `error` is null or a place for a message.
 */
int zqlite_verify(const char *file,
                  const zqlite_keyring *keyring,
                  const char *signed_by,
                  zqlite_progress progress,
                  void *context,
                  char **error);

/*
 Replaces the key of a file while others read and write it; the keys that open the file go on doing so.

 `sign_with_file`: the path of a file that holds the owner's signing key, which a signed file needs; or null. `rate`:
 how many bytes a second are sealed anew, at most; 0 for no limit. `signed_by` as in `zqlite_verify`. If `progress`
 stops it (`ZQLITE_INTERRUPTED`), or the process ends, the next call goes on where it stopped.

 # Safety
 As for `zqlite_verify`; `sign_with_file` is a path or null.
 */
int zqlite_rekey(const char *file,
                 const zqlite_keyring *keyring,
                 const char *signed_by,
                 const char *sign_with_file,
                 uint64_t rate,
                 zqlite_progress progress,
                 void *context,
                 char **error);

/*
 Folds the log into the file and signs its state, every byte of it, into the new file `seal`.

 `sign_with_file`: the path of a file that holds the signing key. `signed_by` as in `zqlite_verify`.

 # Safety
 As for `zqlite_verify`; `sign_with_file` and `seal` are paths.
 */
int zqlite_seal(const char *file,
                const char *seal,
                const zqlite_keyring *keyring,
                const char *signed_by,
                const char *sign_with_file,
                zqlite_progress progress,
                void *context,
                char **error);

/*
 Checks, without a key of the file, that it is in the state that `signed_by` sealed in the file `seal`.

 `ZQLITE_SIGNATURE` if the seal is somebody else's, `ZQLITE_DAMAGED` if the file is in another state.

 # Safety
 `file` and `seal` are paths, `signed_by` is a string; `progress` may be called with `context`; `error` is null or a
 place for a message.
 */
int zqlite_verify_seal(const char *file,
                       const char *seal,
                       const char *signed_by,
                       zqlite_progress progress,
                       void *context,
                       char **error);

/*
 For programs that link the library: `sqlite3_auto_extension((void (*)(void))zqlite_auto_init)`, before the first
 connection is opened. `sqlite3_zqlite_init` would do the same, but its result is an error there.

 From then on every connection whose main database is sealed has the virtual tables and the functions of compressed
 columns, with `recursive_triggers` on; others are left as they are. `sqlite3_cancel_auto_extension` with the same
 argument ends that; the VFS stays.

 # Safety
 SQLite calls it, with its table of functions and a place for a message.
 */
int zqlite_auto_init(sqlite3 *db,
                     char **error,
                     const struct sqlite3_api_routines *api);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ZQLITE_H */
