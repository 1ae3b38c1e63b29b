/* Every function of the C API, once as it is meant and once as it is not. Argument: a folder with keys in files. */
#include <sqlite3.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zqlite.h"

_Static_assert(sizeof(zqlite_inspection) == 64, "no padding");
_Static_assert(offsetof(zqlite_inspection, page_size) == 32, "after four 64-bit numbers");
_Static_assert(offsetof(zqlite_inspection, file_id) == 44, "after three 32-bit numbers");
_Static_assert(offsetof(zqlite_inspection, has_journal) == 63, "the last byte");

static int checks;

#define CHECK(condition)                                                     \
    do {                                                                     \
        checks++;                                                            \
        if (!(condition)) {                                                  \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);          \
            exit(1);                                                         \
        }                                                                    \
    } while (0)

/* The call gives the code, a message exactly if it fails, and the message holds the text. */
static void expect(int line, int got, int wanted, char *message, const char *text) {
    checks++;
    if (got != wanted || (message != NULL) != (got != ZQLITE_OK) ||
        (text != NULL && strstr(message, text) == NULL)) {
        fprintf(stderr, "line %d: %d instead of %d: %s\n", line, got, wanted, message ? message : "");
        exit(1);
    }
    zqlite_free(message);
}

#define EXPECT(call, code, text)                                             \
    do {                                                                     \
        char *message = NULL;                                                \
        int got = (call);                                                    \
        expect(__LINE__, got, code, message, text);                          \
    } while (0)
#define OK(call) EXPECT(call, ZQLITE_OK, NULL)

static char *in(const char *folder, const char *name) {
    char *path = malloc(strlen(folder) + strlen(name) + 2);
    sprintf(path, "%s/%s", folder, name);
    return path;
}

static char *read_text(const char *path) {
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 8192);
    CHECK(file != NULL && fread(text, 1, 8191, file) > 0);
    fclose(file);
    return text;
}

static int count(void *context, uint64_t done, uint64_t total) {
    CHECK(done <= total);
    ++*(int *)context;
    return 0;
}

static int stop(void *context, uint64_t done, uint64_t total) {
    (void)context, (void)done, (void)total;
    return 1;
}

static sqlite3 *open_sealed(const char *path) {
    sqlite3 *db = NULL;
    CHECK(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "zqlite") == SQLITE_OK);
    return db;
}

static int number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    CHECK(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(statement) == SQLITE_ROW);
    int value = sqlite3_column_int(statement, 0);
    CHECK(sqlite3_finalize(statement) == SQLITE_OK);
    return value;
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    char *path = in(argv[1], "api.db"), *id = in(argv[1], "id.key"), *other = in(argv[1], "other.key");
    char *pub = in(argv[1], "id.pub"), *owner = in(argv[1], "owner.pub"), *none = in(argv[1], "none");
    char *seal = in(argv[1], "api.seal"), *signing = in(argv[1], "owner.key");
    char *key = read_text(id), *recipient = read_text(pub);
    unsigned char raw[32] = {7};

    CHECK(strcmp(zqlite_version(), "0.1.0") == 0);
    zqlite_free(NULL);
    zqlite_keyring_free(NULL);
    zqlite_keyring *ring = zqlite_keyring_new(), *wrong = zqlite_keyring_new();
    CHECK(ring != NULL && wrong != NULL);

    /* Before any SQLite has loaded the library. */
    zqlite_inspection inspection;
    EXPECT(zqlite_keyring_add_identity_file(ring, id, &message), ZQLITE_NOT_LOADED, "no SQLite");
    EXPECT(zqlite_inspect(path, &inspection, NULL, &message), ZQLITE_NOT_LOADED, NULL);
    EXPECT(zqlite_register(path, ring, NULL, 1, NULL, &message), ZQLITE_NOT_LOADED, NULL);
    EXPECT(zqlite_verify(path, ring, NULL, NULL, NULL, &message), ZQLITE_NOT_LOADED, NULL);

    sqlite3 *db = NULL;
    CHECK(sqlite3_auto_extension((void (*)(void))zqlite_auto_init) == SQLITE_OK);
    CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
    /* A database that is not sealed is left as it is. */
    CHECK(sqlite3_exec(db, "SELECT zqlite_dictionary_of(NULL)", NULL, NULL, NULL) == SQLITE_ERROR);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    CHECK(zqlite_last_error() == NULL);

    /* Null, everywhere. */
    CHECK(zqlite_keyring_add_raw_key(NULL, raw, NULL) == ZQLITE_MISUSE);
    EXPECT(zqlite_keyring_add_identity(ring, NULL, 3, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_keyring_add_identity(NULL, key, strlen(key), &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_keyring_add_identity_file(ring, NULL, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_keyring_add_passphrase(ring, NULL, 0, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_keyring_add_passphrase_file(ring, NULL, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_keyring_add_raw_key(ring, NULL, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_keyring_add_raw_key_file(ring, NULL, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_register(NULL, ring, NULL, 1, NULL, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_unregister(NULL, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_inspect(NULL, &inspection, NULL, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_inspect(path, NULL, NULL, &message), ZQLITE_MISUSE, "place");
    EXPECT(zqlite_verify(NULL, ring, NULL, NULL, NULL, &message), ZQLITE_MISUSE, "null");

    /* Keys that are none. */
    EXPECT(zqlite_keyring_add_identity(ring, recipient, strlen(recipient), &message), ZQLITE_ERROR, "recipient");
    EXPECT(zqlite_keyring_add_passphrase(ring, "", 0, &message), ZQLITE_MISUSE, "empty");
    EXPECT(zqlite_keyring_add_identity_file(ring, none, &message), ZQLITE_ERROR, "No such file");
    EXPECT(zqlite_keyring_add_raw_key_file(ring, id, &message), ZQLITE_ERROR, "32 bytes");
    EXPECT(zqlite_keyring_add_passphrase_file(ring, argv[1], &message), ZQLITE_ERROR, "regular");

    OK(zqlite_keyring_add_identity(ring, key, strlen(key), &message));
    OK(zqlite_keyring_add_identity_file(ring, id, &message));
    OK(zqlite_keyring_add_raw_key(ring, raw, &message));
    OK(zqlite_keyring_add_identity_file(wrong, other, &message));

    /* Nothing is registered; then keys that create nothing; then leave to create. */
    CHECK(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "zqlite") == SQLITE_AUTH);
    sqlite3_close(db);
    char *reason = zqlite_last_error();
    CHECK(reason != NULL && strstr(reason, "no key opens it") != NULL);
    zqlite_free(reason);
    CHECK(zqlite_last_error() == NULL);
    OK(zqlite_register(path, ring, NULL, 1, NULL, &message));
    CHECK(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "zqlite") == SQLITE_CANTOPEN);
    sqlite3_close(db);
    zqlite_free(zqlite_last_error());
    EXPECT(zqlite_register(path, ring, owner, 1, NULL, &message), ZQLITE_MISUSE, "contradicts");
    EXPECT(zqlite_register(path, ring, owner, 0, recipient, &message), ZQLITE_MISUSE, "nobody");
    EXPECT(zqlite_register(path, ring, key, 0, NULL, &message), ZQLITE_MISUSE, "secret");
    EXPECT(zqlite_register(path, ring, NULL, 1, key, &message), ZQLITE_ERROR, "identity");
    OK(zqlite_register(path, ring, NULL, 1, recipient, &message));
    db = open_sealed(path);
    CHECK(sqlite3_exec(db, "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES ('very secret words')",
                       NULL, NULL, NULL) == SQLITE_OK);

    /* What a sealed database may hold, is there. */
    CHECK(sqlite3_exec(db,
                       "CREATE TABLE r(id INTEGER PRIMARY KEY, p UNIQUE); CREATE VIRTUAL TABLE ip USING cidr(r, p);"
                       "INSERT INTO r VALUES (1, '10.0.0.0/8'), (2, '10.1.0.0/16');"
                       "REPLACE INTO r VALUES (3, '10.1.0.0/16'); DELETE FROM r WHERE id = 1;",
                       NULL, NULL, NULL) == SQLITE_OK);
    CHECK(number(db, "SELECT count(*) * 10 + max(rowid) FROM ip WHERE covers = '10.1.2.3'") == 13);
    CHECK(number(db, "SELECT length(zqlite_compress(replace(hex(zeroblob(500)), '0', 'ab'), NULL)) < 50") == 1);
    CHECK(sqlite3_exec(db, "DROP TABLE ip; DROP TABLE r", NULL, NULL, NULL) == SQLITE_OK);

    /* Beside the open connection, whose locks stay. */
    OK(zqlite_inspect(path, &inspection, NULL, &message));
    char *signer = recipient;
    OK(zqlite_inspect(path, &inspection, &signer, &message));
    CHECK(signer == NULL && inspection.signature == ZQLITE_UNSIGNED && inspection.slots == 1);
    CHECK(inspection.page_size == 4096 && inspection.epoch == 1 && inspection.generation == 1);
    CHECK(inspection.has_wal == 1 && inspection.has_journal == 0 && inspection.copies_are_identical == 1);
    CHECK(inspection.file_len >= 128 * 1024 + inspection.database_len);
    int reports = 0;
    OK(zqlite_verify(path, ring, NULL, count, &reports, &message));
    CHECK(reports > 0);
    OK(zqlite_verify(path, ring, NULL, NULL, NULL, &message));
    EXPECT(zqlite_verify(path, ring, NULL, stop, NULL, &message), ZQLITE_INTERRUPTED, "interrupted");
    EXPECT(zqlite_verify(path, wrong, NULL, NULL, NULL, &message), ZQLITE_NO_KEY, "no key opens it");
    EXPECT(zqlite_verify(path, NULL, NULL, NULL, NULL, &message), ZQLITE_NO_KEY, NULL);
    EXPECT(zqlite_verify(path, ring, owner, NULL, NULL, &message), ZQLITE_SIGNATURE, "not signed");
    EXPECT(zqlite_verify(none, ring, NULL, NULL, NULL, &message), ZQLITE_ERROR, "No such file");
    EXPECT(zqlite_inspect(none, &inspection, NULL, &message), ZQLITE_ERROR, "No such file");
    EXPECT(zqlite_inspect(id, &inspection, NULL, &message), ZQLITE_ERROR, "not a sealed");
    /* A new key, beside the open connection. */
    reports = 0;
    EXPECT(zqlite_rekey(path, wrong, NULL, NULL, 0, NULL, NULL, &message), ZQLITE_NO_KEY, NULL);
    EXPECT(zqlite_rekey(NULL, ring, NULL, NULL, 0, NULL, NULL, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_rekey(path, ring, NULL, none, 0, NULL, NULL, &message), ZQLITE_ERROR, "No such file");
    EXPECT(zqlite_rekey(path, ring, NULL, NULL, 0, stop, NULL, &message), ZQLITE_INTERRUPTED, NULL);
    OK(zqlite_rekey(path, ring, NULL, NULL, 0, count, &reports, &message));
    CHECK(reports > 0);
    OK(zqlite_inspect(path, &inspection, NULL, &message));
    CHECK(inspection.epoch == 2 && inspection.slots == 1);
    CHECK(sqlite3_exec(db, "INSERT INTO t VALUES ('more')", NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_close(db) == SQLITE_OK);

    /* Another registration replaces the first; without one, nothing opens. */
    OK(zqlite_register(path, wrong, NULL, 1, NULL, &message));
    CHECK(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "zqlite") == SQLITE_AUTH);
    sqlite3_close(db);
    OK(zqlite_unregister(path, &message));
    OK(zqlite_unregister(path, &message));
    zqlite_free(zqlite_last_error());

    /* A keyring that is freed leaves what it was registered for. */
    OK(zqlite_register(path, ring, NULL, 1, NULL, &message));
    zqlite_keyring_free(ring);
    db = open_sealed(path);
    CHECK(sqlite3_exec(db, "DELETE FROM t", NULL, NULL, NULL) == SQLITE_OK && sqlite3_changes(db) == 2);
    CHECK(sqlite3_close(db) == SQLITE_OK);

    /* A signed state: checked without a key, and no other state passes for it. */
    ring = zqlite_keyring_new();
    OK(zqlite_keyring_add_identity_file(ring, id, &message));
    EXPECT(zqlite_seal(path, seal, ring, NULL, NULL, NULL, NULL, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_seal(path, NULL, ring, NULL, signing, NULL, NULL, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_seal(path, seal, wrong, NULL, signing, NULL, NULL, &message), ZQLITE_NO_KEY, NULL);
    EXPECT(zqlite_seal(path, seal, ring, NULL, id, NULL, NULL, &message), ZQLITE_ERROR, "identity");
    EXPECT(zqlite_verify_seal(path, seal, owner, NULL, NULL, &message), ZQLITE_ERROR, "No such file");
    reports = 0;
    OK(zqlite_seal(path, seal, ring, NULL, signing, count, &reports, &message));
    EXPECT(zqlite_seal(path, seal, ring, NULL, signing, NULL, NULL, &message), ZQLITE_ERROR, "exists");
    OK(zqlite_verify_seal(path, seal, owner, count, &reports, &message));
    CHECK(reports > 1);
    EXPECT(zqlite_verify_seal(path, seal, owner, stop, NULL, &message), ZQLITE_INTERRUPTED, NULL);
    EXPECT(zqlite_verify_seal(path, seal, NULL, NULL, NULL, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_verify_seal(path, NULL, owner, NULL, NULL, &message), ZQLITE_MISUSE, "null");
    EXPECT(zqlite_verify_seal(path, id, owner, NULL, NULL, &message), ZQLITE_DAMAGED, NULL);
    zqlite_keyring_free(ring);

    /* A byte of page 2. */
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL && fseek(file, 128 * 1024 + 4096 + 50, SEEK_SET) == 0);
    int byte = fgetc(file);
    CHECK(fseek(file, -1, SEEK_CUR) == 0 && fputc(byte ^ 1, file) != EOF && fclose(file) == 0);
    ring = zqlite_keyring_new();
    OK(zqlite_keyring_add_identity_file(ring, id, &message));
    EXPECT(zqlite_verify(path, ring, NULL, NULL, NULL, &message), ZQLITE_DAMAGED, "page 2 does not open");
    EXPECT(zqlite_verify_seal(path, seal, owner, NULL, NULL, &message), ZQLITE_DAMAGED, NULL);
    OK(zqlite_unregister(path, &message));

    zqlite_keyring_free(ring);
    zqlite_keyring_free(wrong);
    sqlite3_reset_auto_extension();
    sqlite3_shutdown();
    free(path), free(id), free(other), free(pub), free(owner), free(none), free(key), free(recipient);
    free(seal), free(signing);
    printf("%d checks\n", checks);
    return 0;
}
