#!/usr/bin/env python3
"""Makes the sealed files of this folder and vectors.json from a seed string, following FORMAT.md.

Usage: make_format_vectors.py OUTDIR [SEED]     (README.md: what comes out, package versions)

The ephemeral randomness (file ids, keys, X-Wing encapsulation seeds, nonces, salts) is
SHAKE256(SEED | label); ML-DSA signs with rnd = 0. SQLite's own random numbers (WAL salts, checksum seed of the journal) and
its version number in page 1 are replaced, checksums recomputed: the same SQLite page layout gives the same bytes.
"""
import hashlib, json, lzma, os, sqlite3, subprocess, sys, tempfile
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from dilithium_py.ml_dsa import ML_DSA_65
from kyber_py.ml_kem import ML_KEM_768
from read_format import *

SEED = sys.argv[2] if len(sys.argv) > 2 else 'zqlite-format-vectors-v1'
H = bytes.hex
SQLITE_VERSION = be(3040001, 4)  # written to bytes 96..100 of every page 1

def R(label, n): return hashlib.shake_256(f'{SEED}|{label}'.encode()).digest(n)

class Nonces:
    """F-25 with seeded batches; the third batch of any name starts where the counter wraps."""
    def __init__(self, name): self.name, self.batch, self.i = name, -1, 1024
    def begin(self):
        self.batch += 1
        d = R(f'nonce|{self.name}|{self.batch}', 24)
        self.prefix, self.base, self.i = d[:12], int.from_bytes(d[12:], 'big'), 0
        if self.batch == 2: self.base = (1 << 96) - 2
        return self
    def __call__(self):
        if self.i >= 1024: self.begin()
        self.i += 1
        return self.prefix + be((self.base + self.i - 1) % (1 << 96), 12)

# ---------------------------------------------------------------- keys
def mldsa_key(name):
    seed = R(f'signing|{name}', 32)
    pk, sk = ML_DSA_65._keygen_internal(seed)
    assert mldsa.MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw() == pk
    return seed, pk, sk

def hpke_wrap(pk, eseed, info, aad, pt):
    enc, shared = xwing_encaps(pk, eseed)
    key, nonce = hpke_schedule(shared, info)
    return dict(enc=enc, shared=shared, key=key, nonce=nonce, sealed=AESGCM(key).encrypt(nonce, pt, aad))

def check_against_openssl(seed, pk):
    """X-Wing and HPKE (empty associated data) against the cryptography package."""
    x = hashlib.shake_256(seed).digest(96)
    m, s = mlkem.MLKEM768PrivateKey.from_seed_bytes(x[:64]), X25519PrivateKey.from_private_bytes(x[64:])
    assert m.public_key().public_bytes_raw() + s.public_key().public_bytes_raw() == pk
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    w = hpke_wrap(pk, R('check|' + H(seed), 64), b'info', b'', b'plain')
    assert suite.decrypt(w['enc'] + w['sealed'], hpke.MLKEM768X25519PrivateKey(m, s), b'info') == b'plain'

class KeyHolder:
    """kind 1 recipient, 2 passphrase, 3 raw key"""
    def __init__(self, kind, label, secret, argon=None): self.kind, self.label, self.secret, self.argon = kind, label, secret, argon

    def seed_for(self, file_id, salt):
        if self.kind == 1: return self.secret
        if self.kind == 2: return seed_of_passphrase(file_id, self.secret, salt, *self.argon)
        return seed_of_raw_key(file_id, self.secret)

# ---------------------------------------------------------------- a sealed file under construction
class Sealed:
    def __init__(self, name, page_size, holders, epoch=1, generation=1, revision=2, min_epoch=1, signer=None, draw=''):
        self.draw = draw  # another randomness for the slots of another header of the same file
        self.name, self.page_size, self.epoch, self.generation, self.revision, self.min_epoch = name, page_size, epoch, generation, revision, min_epoch
        self.file_id, self.signer, self.holders = R(f'{name}|file-id', 16), signer, holders
        self.keys = {e: EpochKeys(self.file_id, R(f'{name}|epoch-key|{e}', 32)) for e in range(1, epoch + 1)}
        self.nonces = Nonces(name)
        self.slot_notes = []

    def slot(self, i, h):
        newest, kind = self.keys[self.epoch], be(h.kind, 2)
        salt = R(f'{self.name}|argon-salt|{self.draw}{i}', 16) if h.kind == 2 else bytes(16)
        seed = h.seed_for(self.file_id, salt)
        pk = xwing_public(seed)
        check_against_openssl(seed, pk)
        eseed = R(f'{self.name}|eseed|{self.draw}{i}', 64)
        w = hpke_wrap(pk, eseed, (L + 'slot/wrap').encode(), slot_aad(self.file_id, self.epoch, h.kind), newest.key)
        hint = hint_of(self.file_id, w['enc'], pk)
        label = h.label.encode()
        assert len(label) <= 63
        nonce = R(f'{self.name}|details-nonce|{self.draw}{i}', 24)
        aad = details_aad(self.file_id, self.epoch, h.kind, hint)
        details = pk + (bytes([len(label)]) + label).ljust(64, b'\0')
        ct, tag = xaes_seal(newest.table, nonce, details, aad)
        argon = b''.join(be(x, 4) for x in h.argon) if h.kind == 2 else bytes(12)
        out = kind + bytes(2) + hint + w['enc'] + w['sealed'] + salt + argon + bytes(4) + nonce + ct + tag
        assert len(out) == SLOT
        note = dict(kind=h.kind, label=h.label, hint=H(hint), xwing_seed=H(seed), xwing_public_key_sha256=H(sha256(pk)), eseed=H(eseed),
                    enc_sha256=H(sha256(w['enc'])), shared_secret=H(w['shared']), hpke_key=H(w['key']), hpke_nonce=H(w['nonce']),
                    hpke_aad=H(slot_aad(self.file_id, self.epoch, h.kind)), hpke_sealed=H(w['sealed']), details_nonce=H(nonce), details_aad=H(aad))
        if h.kind == 2: note |= dict(argon2id=dict(salt=H(salt), memory_kib=h.argon[0], passes=h.argon[1], lanes=h.argon[2]))
        self.slot_notes.append(note)
        return out

    def copy(self):
        slots = b''.join(self.slot(i, h) for i, h in enumerate(self.holders))
        newest = self.keys[self.epoch]
        body = self.file_id + be(self.page_size, 4) + be(self.generation, 8) + be(self.epoch, 4) + newest.commitment
        body += be(len(self.holders), 2) + be(1 if self.signer else 0, 2) + bytes(4) + (self.signer[1] if self.signer else bytes(1952)) + slots
        assert len(body) == BODY0 + SLOT * len(self.holders)
        table = b''
        for e in range(self.epoch - 1, 0, -1):
            k, nonce = self.keys[e], R(f'{self.name}|table-nonce|{e}', 24)
            ct, tag = xaes_seal(newest.table, nonce, k.key, entry_aad(self.file_id, self.epoch, e, k.commitment))
            table += be(e, 4) + k.commitment + nonce + ct + tag
        prefix = MAGIC + be(1, 2) + be(1, 2) + be(len(body), 4) + be(self.revision, 8) + be(1, 4) + be(self.min_epoch, 4) + be(0, 4) + be(self.epoch - 1, 2)
        copy = prefix.ljust(128, b'\0') + body
        self.signature_note = None
        if self.signer:
            seed, pk, sk = self.signer
            msg = signed_message(copy, body)
            sig = ML_DSA_65._sign_internal(sk, b'\0\0' + msg, bytes(32))
            mldsa.MLDSA65PublicKey.from_public_bytes(pk).verify(sig, msg, b'')
            self.signature_note = dict(message_length=len(msg), message_sha256=H(sha256(msg)), message_start=H(msg[:64]), rnd=H(bytes(32)), signature_sha256=H(sha256(sig)))
            copy += sig
        copy = copy.ljust(TABLE_AT, b'\0') + table
        copy = copy.ljust(MAC_AT, b'\0')
        self.mac = header_mac(newest.header_mac, copy)
        copy += self.mac
        assert len(copy) == COPY
        return copy

    def page(self, plain, number, epoch, kind=1, dbsize=0, offset=0, ident=bytes(16)):
        aad = page_aad(self.file_id, epoch, kind, number, dbsize, offset, ident)
        return seal_page(plain, epoch, self.keys[epoch], self.nonces(), aad)

    def database(self, plain, epoch_of, header=None):
        n = self.page_size
        self.nonces.begin()
        return (header or self.copy() * 2) + b''.join(self.page(plain[o:o + n], o // n + 1, epoch_of(o // n + 1)) for o in range(0, len(plain), n))

    def note(self, plain, **more):
        def keys(k): return dict(epoch_key=H(k.key), page_key=H(k.page), header_mac_key=H(k.header_mac), wal_mask_key=H(k.wal_mask),
                                 journal_mac_key=H(k.journal_mac), table_key=H(k.table), commitment=H(k.commitment))
        creds = {}
        for h in self.holders:
            if h.kind == 1: creds |= dict(identity=bech32_encode('AGE-SECRET-KEY-PQ-', h.secret), identity_seed=H(h.secret), recipient=bech32_encode('age1pq', xwing_public(h.secret)))
            elif h.kind == 2: creds |= dict(passphrase=h.secret.decode())
            else: creds |= dict(raw_key=H(h.secret))
        if self.signer: creds |= dict(signing_key=bech32_encode('ZQLITE-SIGNING-KEY-', self.signer[0]), signing_seed=H(self.signer[0]),
                                      verifying_key=bech32_encode('zqlite-verify', self.signer[1]))
        out = dict(file=self.name, credentials=creds, file_id=H(self.file_id), page_size=self.page_size, pages=len(plain) // self.page_size, epoch=self.epoch,
                   minimum_epoch=self.min_epoch, generation=self.generation, revision=self.revision, populated=True,
                   epochs={str(e): keys(k) for e, k in self.keys.items()}, slots=self.slot_notes, header_mac=H(self.mac))
        if self.signature_note: out['signature'] = self.signature_note
        return out | more

# ---------------------------------------------------------------- plain databases, made by SQLite
def empty_database(page_size):
    """One page: an empty schema, reserved bytes 48, which SQLite then keeps."""
    p = bytearray(page_size)
    p[:16] = b'SQLite format 3\0'
    p[16:18] = be(page_size if page_size < 65536 else 1, 2)
    p[18:24] = bytes([1, 1, RESERVE, 64, 32, 32])
    p[24:28] = p[28:32] = p[92:96] = be(1, 4)
    p[44:48] = be(4, 4)
    p[56:60] = be(1, 4)
    p[96:100] = SQLITE_VERSION
    p[100:108] = b'\x0d' + bytes(4) + be(page_size - RESERVE, 2) + b'\0'
    return bytes(p)

def connect(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute('PRAGMA secure_delete=ON').fetchall()  # its default differs between builds of SQLite, and with it the bytes of pages
    return db

def new_database(path, page_size, *pragmas):
    with open(path, 'wb') as f: f.write(empty_database(page_size))
    db = connect(path)
    for p in ('auto_vacuum=NONE', *pragmas): db.execute('PRAGMA ' + p).fetchall()
    return db

def fill(db, rows, width, blob):
    db.execute('BEGIN')
    db.execute('CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INTEGER NOT NULL, data BLOB)')
    db.execute('CREATE INDEX item_name ON item(name)')
    for i in range(1, rows + 1):
        db.execute('INSERT INTO item VALUES(?, ?, ?, ?)', (i, f'name-{i * 37 % 101:03}', i * i, R(f'data|{i}', width)))
    if blob: db.execute('INSERT INTO item VALUES(?, ?, ?, ?)', (1000, 'grüße', -1, R('blob', blob)))
    db.execute('COMMIT')

QUERIES = ['SELECT count(*), sum(n), sum(length(data)), max(length(data)) FROM item', 'SELECT id, n FROM item ORDER BY name, id LIMIT 5',
           "SELECT name, hex(substr(data, -8)) FROM item ORDER BY id DESC LIMIT 1", 'PRAGMA integrity_check', 'PRAGMA page_count', 'PRAGMA journal_mode']

def normalise(page, number):
    assert not any(page[-RESERVE:]), f'page {number}: reserved bytes'
    return page[:96] + SQLITE_VERSION + page[100:] if number == 1 else page

def pages_of(data, n):
    assert len(data) % n == 0
    return [normalise(data[o:o + n], o // n + 1) for o in range(0, len(data), n)]

def expected(plain):
    """Results of QUERIES and SHA-256 of what is there after SQLite has recovered (and checkpointed)."""
    with tempfile.TemporaryDirectory() as d:
        p = os.path.join(d, 'p')
        for suffix, data in plain.items():
            with open(p + suffix, 'wb') as f: f.write(data)
        db = connect(p)
        rows = [dict(sql=q, rows=[list(r) for r in db.execute(q)]) for q in QUERIES]
        assert rows[3]['rows'] == [['ok']]
        db.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()
        db.close()
        return rows, read_file(p)

# ---------------------------------------------------------------- the five files
def make_signed(tmp):
    holders = [KeyHolder(1, 'alice', R('identity|alice', 32)), KeyHolder(2, 'pass', b'correct horse battery staple', (19456, 2, 1)), KeyHolder(3, 'raw', R('raw-key|signed', 32))]
    s = Sealed('signed.zqlite', 4096, holders, signer=mldsa_key('owner'))
    db = new_database(tmp + '/signed', 4096)
    fill(db, 100, 40, 10000)
    db.close()
    plain = b''.join(pages_of(read_file(tmp + '/signed'), 4096))
    assert len(plain) <= 12 * 4096
    rows, after = expected({'': plain})
    assert after == plain
    return {s.name: s.database(plain, lambda n: 1)}, s.note(plain, sha256=H(sha256(plain)), expected=rows), s, plain

def make_epochs(tmp):
    s = Sealed('epochs.zqlite', 8192, [KeyHolder(3, '', R('raw-key|epochs', 32))], epoch=3, generation=4, revision=7)
    db = new_database(tmp + '/epochs', 8192)
    fill(db, 120, 100, 20000)
    db.close()
    plain = b''.join(pages_of(read_file(tmp + '/epochs'), 8192))
    rows, after = expected({'': plain})
    assert after == plain
    epoch_of = lambda n: (3, 1, 2)[(n - 1) % 3]
    data = s.database(plain, epoch_of)
    return {s.name: data}, s.note(plain, sha256=H(sha256(plain)), expected=rows, epoch_of_page={str(n): epoch_of(n) for n in range(1, len(plain) // 8192 + 1)}), s, plain

def make_halfway(tmp):
    """An update of the owner that died between the copies: copy A has lost a slot, copy B still has it. The epoch key is the same (F-9)."""
    alice, raw = KeyHolder(1, 'alice', R('identity|halfway', 32)), KeyHolder(3, 'raw', R('raw-key|halfway', 32))
    s = Sealed('halfway.zqlite', 4096, [alice, raw], signer=mldsa_key('owner'))
    newer = Sealed('halfway.zqlite', 4096, [raw], generation=2, revision=3, signer=s.signer, draw='newer|')
    db = new_database(tmp + '/halfway', 4096)
    fill(db, 10, 20, 0)
    db.close()
    plain = b''.join(pages_of(read_file(tmp + '/halfway'), 4096))
    rows, after = expected({'': plain})
    assert after == plain
    data = s.database(plain, lambda n: 1, newer.copy() + s.copy())
    note = newer.note(plain, sha256=H(sha256(plain)), expected=rows)
    older = s.note(plain)
    note['credentials'] = older['credentials']
    note['copy_b'] = {f: older[f] for f in ('generation', 'revision', 'slots', 'header_mac', 'signature')}
    return {s.name: data}, note, s, plain

def make_wal(tmp):
    n = 4096
    s = Sealed('wal.zqlite', n, [KeyHolder(1, 'bob', R('identity|bob', 32)), KeyHolder(3, 'raw', R('raw-key|wal', 32))], epoch=2, generation=2, revision=3)
    db = new_database(tmp + '/wal', n, 'journal_mode=WAL', 'wal_autocheckpoint=0')
    fill(db, 60, 60, 5000)
    db.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()
    db.execute('BEGIN')  # first commit: changed and new rows, new pages
    db.execute('UPDATE item SET n = n + 1000 WHERE id <= 30')
    for i in range(61, 91): db.execute('INSERT INTO item VALUES(?, ?, ?, ?)', (i, f'wal-{i}', i, R(f'wal|{i}', 100)))
    db.execute('COMMIT')
    db.execute('BEGIN')  # second commit
    db.execute('DELETE FROM item WHERE id BETWEEN 40 AND 45')
    db.execute('CREATE TABLE later(a, b)')
    db.execute('INSERT INTO later VALUES(1, ?)', (R('later', 6000),))
    db.execute('COMMIT')
    base, wal = pages_of(read_file(tmp + '/wal'), n), read_file(tmp + '/wal-wal')
    db.close()
    assert base[0][18:20] == b'\2\2'
    # the same frames with salts of ours; SQLite's checksums computed anew
    assert u32(wal) & ~1 == 0x377f0682 and (len(wal) - 32) % (24 + n) == 0
    big = wal[3] & 1
    salts = R('wal|salts', 8)
    head = wal[:16] + salts
    c = wal_checksum(big, head)
    head += be(c[0], 4) + be(c[1], 4)
    out, frames, overlay, commits, size = head, [], dict(enumerate(base, 1)), 0, 0
    sealed = head[:16] + wal_mask(s.keys[1].wal_mask, 16, head[16:])
    plain_base = b''.join(base)
    data = s.database(plain_base, lambda number: 1)
    s.nonces.begin()
    for o in range(32, len(wal), 24 + n):
        assert wal[o + 8:o + 16] == wal[16:24]
        number, size = u32(wal, o), u32(wal, o + 4)
        page = normalise(wal[o + 24:o + 24 + n], number)
        fh = wal[o:o + 8]
        c = wal_checksum(big, page, wal_checksum(big, fh, c))
        tail = salts + be(c[0], 4) + be(c[1], 4)
        out += fh + tail + page
        overlay[number] = page
        epoch = 1 if commits == 0 else 2  # a new epoch between the commits: the mask key stays
        masked = wal_mask(s.keys[1].wal_mask, o + 8, tail)
        stored = s.page(page, number, epoch, 2, size, o, salts + bytes(8))
        sealed += fh + masked + stored
        frames.append(dict(offset=o, page=number, database_size=size, epoch=epoch, header=H(fh + tail), masked_header=H(fh + masked), nonce=H(stored[-48:-24]), tag=H(stored[-16:])))
        if size:
            commits += 1
            s.nonces.begin()
            last = size
            if commits == 1:
                rows, after = expected({'': plain_base, '-wal': out})
                assert after == b''.join(overlay[i] for i in range(1, last + 1))
                first_commit = dict(wal_size=len(sealed), sha256_recovered=H(sha256(after)), expected=rows)
    assert commits == 2 and size
    rows, after = expected({'': plain_base, '-wal': out})
    assert after == b''.join(overlay[i] for i in range(1, last + 1))
    w = dict(header=H(head), masked_header=H(sealed[:32]), mask_epoch=1, commits=commits, first_commit=first_commit, frames=frames, plain_sha256=H(sha256(out)))
    return {s.name: data, s.name + '-wal': sealed}, s.note(plain_base, sha256=H(sha256(plain_base)), sha256_recovered=H(sha256(after)),
                                                           expected=rows, wal=w), s, plain_base

def make_journal(tmp):
    n = 4096
    s = Sealed('journal.zqlite', n, [KeyHolder(2, 'pass', b'hot journal\xc3\xa9', (19456, 2, 1)), KeyHolder(3, 'raw', R('raw-key|journal', 32))])
    db = new_database(tmp + '/journal', n)
    fill(db, 40, 700, 0)
    db.close()
    before = pages_of(read_file(tmp + '/journal'), n)
    db = connect(tmp + '/journal')
    for p in ('synchronous=FULL', 'cache_size=5', 'cache_spill=5', 'journal_mode=DELETE'): db.execute('PRAGMA ' + p).fetchall()
    db.execute('BEGIN')
    for i in range(1, 41): db.execute('UPDATE item SET n = -n, data = ? WHERE id = ?', (R(f'lost|{i}', 650), i))
    for i in range(41, 61): db.execute('INSERT INTO item VALUES(?, ?, ?, ?)', (i, f'lost-{i}', i, R(f'lost|{i}', 700)))
    mid, j = pages_of(read_file(tmp + '/journal'), n), read_file(tmp + '/journal-journal')
    db.execute('ROLLBACK')
    db.close()
    assert len(mid) > len(before) and mid[:len(before)] != before
    jid = R('journal|id', 16)
    data = s.database(b''.join(mid), lambda number: 1)
    k = s.keys[1]
    s.nonces.begin()
    plain, sealed, segments, o = b'', b'', [], 0
    while o + 512 <= len(j):
        # SQLite leaves magic and count of a segment zero until it has synced its records: such a segment is not there yet.
        # It is sealed like the others; `plain` (what a recovering reader gets) ends before it.
        synced = j[o:o + 8] == JOURNAL_MAGIC
        count, old_seed, seed = u32(j, o + 8), u32(j, o + 12), u32(R(f'journal|seed|{len(segments)}', 4))
        assert (synced or not any(j[o:o + 12])) and u32(j, o + 16) == len(before) and u32(j, o + 20) == 512 and u32(j, o + 24) == n
        head = j[o:o + 12] + be(seed, 4) + j[o + 16:o + 28]
        sealed = sealed.ljust(o, b'\0')
        h = head + jid + be(1, 4)
        mac = journal_header_mac(k.journal_mac, o, h)
        seg = dict(offset=o, synced=synced, count=count, header=H(h + mac), records=[])
        if synced: plain = plain.ljust(o, b'\0') + head + bytes(484)
        sealed += (h + mac).ljust(512, b'\0')
        o += 512
        for _ in range(count if synced else (len(j) - o) // (n + 8)):
            number, page = u32(j, o), j[o + 4:o + 4 + n]
            assert u32(j, o + 4 + n) == journal_checksum(old_seed, page)
            page = normalise(page, number)
            assert page == before[number - 1]
            check = be(journal_checksum(seed, page), 4)
            stored = s.page(page, number, 1, 3, 0, o, jid)
            if synced: plain += be(number, 4) + page + check
            sealed += be(number, 4) + stored + bytes(4)
            seg['records'].append(dict(offset=o, page=number, nonce=H(stored[-48:-24]), tag=H(stored[-16:]), checksum=H(check)))
            o += n + 8
        segments.append(seg)
        if not synced: break
        o += -o % 512
    assert o == len(j) and [x['synced'] for x in segments] == [True, True, False] and segments[0]['count'] and segments[2]['records']
    rows, after = expected({'': b''.join(mid), '-journal': plain})
    assert after == b''.join(before)
    return {s.name: data, s.name + '-journal': sealed}, s.note(b''.join(mid), sha256=H(sha256(b''.join(mid))), sha256_recovered=H(sha256(after)), expected=rows,
                journal=dict(id=H(jid), epoch=1, initial_pages=len(before), segments=segments, plain_sha256=H(sha256(plain)))), s, b''.join(mid)

# ---------------------------------------------------------------- unit vectors
def units():
    u = {}
    fid = R('unit|file-id', 16)
    key = R('unit|epoch-key', 32)
    k = EpochKeys(fid, key)
    u['derivation'] = dict(file_id=H(fid), epoch_key=H(key), page_key=H(k.page), header_mac_key=H(k.header_mac), wal_mask_key=H(k.wal_mask),
                           journal_mac_key=H(k.journal_mac), table_key=H(k.table), commitment=H(k.commitment))
    before = HOLE - DATA  # logical bytes before the hole
    logical = [0, 1, 4096, 65536, before - 1, before, before + 1, HOLE - 1, HOLE, HOLE + 1, HOLE + 65536, 1 << 33, 4294967294 * 65536 - 1]
    physical_sizes = [0, 1, 65536, DATA - 1, DATA, DATA + 1, DATA + 4096, HOLE - 1, HOLE, HOLE + 1, HOLE + 4096, HOLE + HOLE_LEN - 1, HOLE + HOLE_LEN, HOLE + HOLE_LEN + 1, 1 << 33]
    for n in (4096, 8192, 16384, 32768, 65536):
        logical += [before - n, before + n, HOLE - n, HOLE + n]
        physical_sizes += [HOLE - n, HOLE + HOLE_LEN + n]
    u['physical_offset'] = [dict(logical=x, physical=physical(x)) for x in sorted(set(logical))]
    u['logical_size'] = [dict(physical=x, logical=logical_size(x)) for x in sorted(set(physical_sizes))]
    # page numbers around the hole; SQLite's lock-byte page is a gap page like any other (F-2)
    u['page_offset'] = [dict(page_size=n, page=i, physical=physical((i - 1) * n), lock_byte_page=i == HOLE // n + 1)
                        for n in (4096, 8192, 16384, 32768, 65536) for i in (1, before // n, before // n + 1, HOLE // n, HOLE // n + 1, HOLE // n + 2)]
    assert all(x['physical'] + x['page_size'] <= HOLE or x['physical'] >= HOLE + HOLE_LEN for x in u['page_offset'])
    u['xaes'] = [dict(key='01' * 32, nonce=H(b'ABCDEFGHIJKLMNOPQRSTUVWX'), aad='', plaintext=H(b'XAES-256-GCM'), source='C2SP'),
                 dict(key='03' * 32, nonce=H(b'ABCDEFGHIJKLMNOPQRSTUVWX'), aad=H(b'c2sp.org/XAES-256-GCM'), plaintext=H(b'XAES-256-GCM'), source='C2SP')]
    for i, n in enumerate((0, 1, 32, 100)):
        u['xaes'].append(dict(key=H(R(f'unit|xaes-key|{i}', 32)), nonce=H(R(f'unit|xaes-nonce|{i}', 24)), aad=H(R(f'unit|xaes-aad|{i}', 7 * i)), plaintext=H(R(f'unit|xaes-pt|{i}', n))))
    for x in u['xaes']:
        a = [bytes.fromhex(x[f]) for f in ('key', 'nonce', 'plaintext', 'aad')]
        ct, tag = xaes_seal(*a)
        dk, dn = xaes_derive(a[0], a[1])
        x |= dict(derived_key=H(dk), derived_nonce=H(dn), ciphertext=H(ct), tag=H(tag))
    assert u['xaes'][0]['ciphertext'] + u['xaes'][0]['tag'] == 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271'
    assert u['xaes'][1]['ciphertext'] + u['xaes'][1]['tag'] == '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d'
    u['nonce_sequence'] = []
    for name, base in (('plain', R('unit|nonce', 12)), ('wrap', b'\xff' * 11 + b'\xfe')):
        prefix = R('unit|nonce-prefix', 12)
        u['nonce_sequence'].append(dict(name=name, drawn=H(prefix + base), nonces=[H(prefix + be((int.from_bytes(base, 'big') + i) % (1 << 96), 12)) for i in range(4)]))
    u['wal_mask'] = []
    wk = R('unit|wal-key', 32)
    for i, o in enumerate((16, 40, 4160, 32 + 1000 * (24 + 65536) + 8, (1 << 33) + 16)):
        b = R(f'unit|wal-block|{i}', 16)
        m = wal_mask(wk, o, b)
        assert wal_unmask(wk, o, m) == b
        u['wal_mask'].append(dict(key=H(wk), offset=o, delta=H(wal_delta(wk, o)), block=H(b), masked=H(m)))
    u['journal_checksum'] = []
    for i, n in enumerate((4096, 8192, 65536)):
        seed = b'\xff\xff\xff\xf0' if i == 0 else R(f'unit|journal-seed|{i}', 4)
        page = R(f'unit|journal-page|{i}', n - 48) + bytes(48)
        u['journal_checksum'].append(dict(seed=H(seed), page_size=n, page_shake256_of=f'{SEED}|unit|journal-page|{i}', page_sha256=H(sha256(page)), checksum=H(be(journal_checksum(u32(seed), page), 4))))
    u['page_aad'] = []
    for name, args in (('database', (1, 1, 7)), ('wal commit', (2, 2, 3, 9, 32, R('unit|salts', 8) + bytes(8))), ('wal', (2, 2, 4, 0, 4152, R('unit|salts', 8) + bytes(8))), ('journal', (1, 3, 5, 0, 512, R('unit|journal-id', 16)))):
        epoch, kind, number, *rest = args
        dbsize, offset, ident = rest or (0, 0, bytes(16))
        u['page_aad'].append(dict(name=name, epoch=epoch, kind=kind, file_id=H(fid), page=number, frame_database_size=dbsize, offset=offset, ident=H(ident), aad=H(page_aad(fid, epoch, kind, number, dbsize, offset, ident))))
    page = R('unit|page', 4048) + bytes(48)
    nonce = R('unit|page-nonce', 24)
    stored = seal_page(page, 1, k, nonce, page_aad(fid, 1, 1, 7))
    u['page_seal'] = dict(page_key=H(k.page), file_id=H(fid), epoch=1, kind=1, page=7, nonce=H(nonce), plaintext=H(page), stored=H(stored))
    seed = R('unit|xwing-seed', 32)
    pk = xwing_public(seed)
    check_against_openssl(seed, pk)
    eseed = R('unit|eseed', 64)
    w = hpke_wrap(pk, eseed, (L + 'slot/wrap').encode(), slot_aad(fid, 1, 1), key)
    assert xwing_decaps(seed, w['enc']) == w['shared']
    u['hpke_wrap'] = dict(xwing_seed=H(seed), xwing_public_key=H(pk), eseed=H(eseed), enc=H(w['enc']), shared_secret=H(w['shared']), info=H((L + 'slot/wrap').encode()), aad=H(slot_aad(fid, 1, 1)), plaintext=H(key), key=H(w['key']), nonce=H(w['nonce']), sealed=H(w['sealed']))
    # what would open if an all-zero X25519 secret were let through; it must not, whatever the point of low order
    u['hpke_all_zero'] = []
    for point in (bytes(32), be(1, 32)[::-1], bytes.fromhex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'), ((1 << 255) - 19).to_bytes(32, 'little')):
        ss_m, ct_m = ML_KEM_768._encaps_internal(pk[:1184], eseed[:32])
        hk, hn = hpke_schedule(xwing_combine(ss_m, bytes(32), point, pk[1184:]), (L + 'slot/wrap').encode())
        assert xwing_decaps(seed, ct_m + point) is None
        u['hpke_all_zero'].append(dict(xwing_seed=H(seed), enc=H(ct_m + point), aad=H(slot_aad(fid, 1, 1)), sealed=H(AESGCM(hk).encrypt(hn, key, slot_aad(fid, 1, 1))), recipient=H(pk[:1184] + point)))
    u['hint'] = dict(file_id=H(fid), enc=H(w['enc']), xwing_public_key=H(pk), hint=H(hint_of(fid, w['enc'], pk)))
    salt = R('unit|argon-salt', 16)
    raw = R('unit|raw', 32)
    u['seed'] = [dict(kind=2, file_id=H(fid), passphrase='pässwörd', salt=H(salt), memory_kib=19456, passes=2, lanes=1, seed=H(seed_of_passphrase(fid, 'pässwörd'.encode(), salt, 19456, 2, 1))),
                 dict(kind=2, file_id=H(fid), passphrase='', salt=H(salt), memory_kib=20000, passes=3, lanes=4, seed=H(seed_of_passphrase(fid, b'', salt, 20000, 3, 4))),
                 dict(kind=3, file_id=H(fid), raw_key=H(raw), seed=H(seed_of_raw_key(fid, raw)))]
    jid = R('unit|journal-id', 16)
    u['super_journal'] = []
    for n, offset, name in ((4096, 8704, b'/db-mj0123456789AB'), (65536, 131584, 'ü-mj9'.encode()), (8192, 1 << 33, b'/' + b'n' * 500)):
        # SQLite's trailer: the page number of the lock-byte page, name, length, sum of the name's bytes, magic. SQLite adds the bytes as
        # its compiler's `char`; the sum here is that of unsigned ones, and the MAC takes the field as it stands.
        trailer = be(HOLE // n + 1, 4) + name + be(len(name), 4) + be(sum(name), 4) + JOURNAL_MAGIC
        mac = super_journal_mac(k.journal_mac, jid, offset, trailer)
        u['super_journal'].append(dict(epoch_key=H(key), file_id=H(fid), journal_mac_key=H(k.journal_mac), journal_id=H(jid), page_size=n, offset=offset, name=H(name), trailer=H(trailer), mac=H(mac)))
        j = bytes(4096) + trailer
        whole = j + super_journal_mac(k.journal_mac, jid, 4096, trailer)
        got = super_journal_trailer(whole + trailer, jid, k.journal_mac)
        assert got == (4096, trailer) and super_journal_trailer(j, jid, k.journal_mac) is None and super_journal_trailer(whole, jid, k.journal_mac) is None and super_journal_trailer(j + mac + trailer, jid, k.journal_mac) is None
    u['journal_header'] = []
    for start in (JOURNAL_MAGIC + be(3, 4), bytes(12), JOURNAL_MAGIC + b'\xff' * 4):  # synced, not synced yet, never synced
        head = start + be(0x01020304, 4) + be(9, 4) + be(512, 4) + be(4096, 4) + jid + be(1, 4)
        u['journal_header'].append(dict(epoch_key=H(key), file_id=H(fid), journal_mac_key=H(k.journal_mac), offset=16896, bytes_0_48=H(head), mac=H(journal_header_mac(k.journal_mac, 16896, head))))
    dseed, dpk, _ = mldsa_key('unit')
    u['key_text'] = [dict(kind=kind, data=H(d), text=bech32_encode(hrp, d)) for kind, hrp, d in (('identity', 'AGE-SECRET-KEY-PQ-', seed), ('recipient', 'age1pq', pk), ('signing key', 'ZQLITE-SIGNING-KEY-', dseed), ('verifying key', 'zqlite-verify', dpk))]
    for x, hrp, n in zip(u['key_text'], ('AGE-SECRET-KEY-PQ-', 'age1pq', 'ZQLITE-SIGNING-KEY-', 'zqlite-verify'), (32, 1216, 32, 1952)):
        assert H(key_text(f'# comment\n\n{x["text"]}\n', hrp, n)) == x['data']
    return u

# ---------------------------------------------------------------- output, and reading it back with the reader
def read_back(folder, note, holders, plain):
    """Opens the file with every credential it has, through the reader's command line, and lets SQLite recover the result."""
    reader = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'read_format.py')
    c = note['credentials']
    options = []
    for field, option, text in (('identity', '--identity', '# made for a test\n{}\n'), ('raw_key', '--raw-key-file', '{}\n'), ('passphrase', '--passphrase-file', '{}\n')):
        if field not in c: continue
        path = os.path.join(folder, field)
        with open(path, 'w', encoding='utf-8') as f: f.write(text.format(c[field]))
        options.append([option, path])
    assert len(options) == len(holders)
    for o in options:
        out = os.path.join(folder, 'plain')
        cmd = [sys.executable, reader, os.path.join(folder, note['file']), *o, '--file-id', note['file_id'], '-o', out]
        if 'verifying_key' in c: cmd += ['--verify-key', c['verifying_key']]
        p = subprocess.run(cmd, capture_output=True, text=True)
        assert p.returncode == 0, p.stderr
        r = json.loads(p.stdout)
        for field in ('page_size', 'pages', 'file_id', 'revision', 'generation', 'epoch', 'minimum_epoch', 'populated'): assert r[field] == note[field], field
        assert [x['label'] for x in r['slots']] == [x['label'] for x in note['slots']]
        assert r['sha256'] == note['sha256'] == H(sha256(read_file(out))) and read_file(out) == plain
        for suffix in ('wal', 'journal'):
            assert (suffix in note) == os.path.exists(f'{out}-{suffix}')
            if suffix in note: assert H(sha256(read_file(f'{out}-{suffix}'))) == note[suffix]['plain_sha256']
        db = connect(out)
        for q in note['expected']: assert [list(x) for x in db.execute(q['sql'])] == q['rows'], q
        db.close()
        assert H(sha256(read_file(out))) == note.get('sha256_recovered', note['sha256'])

def main():
    if len(sys.argv) < 2: sys.exit(__doc__)
    outdir = sys.argv[1]
    os.makedirs(outdir, exist_ok=True)
    result = dict(seed=SEED, format_version=1, files=[], unit=units())
    for make in (make_signed, make_epochs, make_halfway, make_wal, make_journal):
        with tempfile.TemporaryDirectory() as tmp:
            files, note, s, plain = make(tmp)
            note['parts'] = []
            for name, data in files.items():
                with open(os.path.join(tmp, name), 'wb') as f: f.write(data)
                note['parts'].append(dict(file=name, xz=name + '.xz', size=len(data), sha256=H(sha256(data))))
                with open(os.path.join(outdir, name + '.xz'), 'wb') as f: f.write(lzma.compress(data, preset=9))
            read_back(tmp, note, s.holders, plain)
            result['files'].append(note)
            print(note['file'], note['pages'], 'pages', *(f"{p['file']} {p['size']}" for p in note['parts']))
    with open(os.path.join(outdir, 'vectors.json'), 'w', encoding='utf-8') as f:
        json.dump(result, f, indent=1, ensure_ascii=False)
        f.write('\n')

if __name__ == '__main__': main()
