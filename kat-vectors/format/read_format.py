#!/usr/bin/env python3
"""An independent reader of sealed database files, version 1, written from FORMAT.md alone.

Usage: read_format.py SEALED [--identity FILE] [--raw-key-file FILE] [--passphrase-file FILE]
                      [--verify-key TEXT-OR-FILE] [--file-id HEX] [--no-sidecars] [-o PLAIN]

Checks the header (MAC, commitments, slots, signature) and every page; prints what it found as JSON on
standard output. With -o it writes the plain SQLite file (48 reserved bytes, all zero). If SEALED-wal or
SEALED-journal is there, PLAIN-wal or PLAIN-journal is written as well, so that SQLite recovers PLAIN
exactly as it would recover the sealed file. Exit status: section 14 of FORMAT.md (2: usage).
Needs: kyber-py==1.2.0 dilithium-py==1.5.1 cryptography==50.0.2 argon2-cffi==25.1.0 (Python 3.11 or later)
"""
import argparse, hashlib, hmac, json, os, sys
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from dilithium_py.ml_dsa import ML_DSA_65
from kyber_py.ml_kem import ML_KEM_768

# ---------------------------------------------------------------- section 1: conventions
def be(n, width): return n.to_bytes(width, 'big')
def u16(b, o=0): return int.from_bytes(b[o:o + 2], 'big')
def u32(b, o=0): return int.from_bytes(b[o:o + 4], 'big')
def u64(b, o=0): return int.from_bytes(b[o:o + 8], 'big')
def xor(a, b): return bytes(x ^ y for x, y in zip(a, b, strict=True))
def sha256(b): return hashlib.sha256(b).digest()
def hmac256(key, msg): return hmac.new(key, msg, 'sha256').digest()
def hkdf_extract(salt, ikm): return hmac256(salt or bytes(32), ikm)

def hkdf_expand(prk, info, length):
    out = t = b''
    i = 1
    while len(out) < length:
        t = hmac256(prk, t + info + bytes([i]))
        out += t
        i += 1
    return out[:length]

def hkdf(salt, ikm, label): return hkdf_expand(hkdf_extract(salt, ikm), label.encode(), 32)

def aes(key, block):
    c = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return c.update(block) + c.finalize()

def aes_inv(key, block):
    c = Cipher(algorithms.AES(key), modes.ECB()).decryptor()
    return c.update(block) + c.finalize()

def dbl(b):
    n = int.from_bytes(b, 'big') << 1
    if n >> 128: n ^= 1 << 128 | 0x87
    return be(n, 16)

def xaes_derive(key, nonce):
    assert len(key) == 32 and len(nonce) == 24
    k1 = dbl(aes(key, bytes(16)))
    return aes(key, xor(k1, b'\0\1X\0' + nonce[:12])) + aes(key, xor(k1, b'\0\2X\0' + nonce[:12])), nonce[12:]

def xaes_seal(key, nonce, pt, aad):
    """ciphertext, tag"""
    k, n = xaes_derive(key, nonce)
    ct = AESGCM(k).encrypt(n, pt, aad)
    return ct[:-16], ct[-16:]

def xaes_open(key, nonce, ct, tag, aad):
    """plaintext or None"""
    k, n = xaes_derive(key, nonce)
    try: return AESGCM(k).decrypt(n, ct + tag, aad)
    except InvalidTag: return None

# ---------------------------------------------------------------- X-Wing and HPKE
def xwing_expand(seed):
    """ML-KEM ek, dk, X25519 secret, X25519 public"""
    assert len(seed) == 32
    x = hashlib.shake_256(seed).digest(96)
    ek, dk = ML_KEM_768._keygen_internal(x[:32], x[32:64])
    sk = X25519PrivateKey.from_private_bytes(x[64:])
    return ek, dk, sk, sk.public_key().public_bytes_raw()

def xwing_public(seed):
    ek, _, _, pk_x = xwing_expand(seed)
    return ek + pk_x

def xwing_combine(ss_m, ss_x, ct_x, pk_x): return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + b'\\.//^\\').digest()

def xwing_encaps(pk, eseed):
    """enc, shared secret"""
    assert len(pk) == 1216 and len(eseed) == 64
    ss_m, ct_m = ML_KEM_768._encaps_internal(pk[:1184], eseed[:32])
    e = X25519PrivateKey.from_private_bytes(eseed[32:])
    ct_x = e.public_key().public_bytes_raw()
    ss_x = e.exchange(X25519PublicKey.from_public_bytes(pk[1184:]))
    return ct_m + ct_x, xwing_combine(ss_m, ss_x, ct_x, pk[1184:])

def xwing_decaps(seed, enc):
    """shared secret; None if the X25519 secret is all zero, which the library refuses (section 1)"""
    _, dk, sk, pk_x = xwing_expand(seed)
    ss_m = ML_KEM_768._decaps_internal(dk, enc[:1088])
    try: ss_x = sk.exchange(X25519PublicKey.from_public_bytes(enc[1088:]))
    except ValueError: return None
    return xwing_combine(ss_m, ss_x, enc[1088:], pk_x)

HPKE_SUITE = b'HPKE' + be(0x647a, 2) + be(1, 2) + be(2, 2)
def labeled_extract(salt, label, ikm): return hkdf_extract(salt, b'HPKE-v1' + HPKE_SUITE + label + ikm)
def labeled_expand(prk, label, info, n): return hkdf_expand(prk, be(n, 2) + b'HPKE-v1' + HPKE_SUITE + label + info, n)

def hpke_schedule(shared, info):
    """key, base nonce (RFC 9180 section 5.1, mode_base)"""
    ctx = b'\0' + labeled_extract(b'', b'psk_id_hash', b'') + labeled_extract(b'', b'info_hash', info)
    secret = labeled_extract(shared, b'secret', b'')
    return labeled_expand(secret, b'key', ctx, 32), labeled_expand(secret, b'base_nonce', ctx, 12)

# ---------------------------------------------------------------- section 15: key text
CHARSET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'

def _polymod(values):
    c = 1
    for v in values:
        top = c >> 25
        c = (c & 0x1ffffff) << 5 ^ v
        for i, g in enumerate((0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3)):
            if top >> i & 1: c ^= g
    return c

def _hrp_expand(hrp): return [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]

def bech32_encode(hrp, data):
    """Case of the result = case of hrp; the checksum is that of the lower-case text."""
    low = hrp.lower()
    n = len(data) * 8
    pad = -n % 5
    v = int.from_bytes(data, 'big') << pad
    words = [v >> (n + pad - 5 * (i + 1)) & 31 for i in range((n + pad) // 5)]
    c = _polymod(_hrp_expand(low) + words + [0] * 6) ^ 1
    text = low + '1' + ''.join(CHARSET[w] for w in words + [c >> 5 * (5 - i) & 31 for i in range(6)])
    return text.upper() if hrp.isupper() else text

def bech32_decode(text):
    """lower-case hrp, data; ValueError"""
    if text != text.lower() and text != text.upper(): raise ValueError('mixed case')
    low = text.lower()
    hrp, sep, rest = low.rpartition('1')
    if not sep or not hrp or len(rest) < 6 or any(c not in CHARSET for c in rest): raise ValueError('not Bech32')
    words = [CHARSET.index(c) for c in rest]
    if _polymod(_hrp_expand(hrp) + words) != 1: raise ValueError('checksum')
    words = words[:-6]
    v = 0
    for w in words: v = v << 5 | w
    pad = len(words) * 5 % 8
    if pad > 4 or v & (1 << pad) - 1: raise ValueError('padding')
    return hrp, be(v >> pad, len(words) * 5 // 8)

def key_text(text, hrp, length):
    """The one key of that kind in a key file's text (comments and blank lines allowed)."""
    lines = [s.strip() for s in text.splitlines()]
    lines = [s for s in lines if s and not s.startswith('#')]
    if len(lines) != 1: raise ValueError('one key expected')
    got, data = bech32_decode(lines[0])
    if got != hrp.lower() or len(data) != length or (lines[0] != lines[0].upper() if hrp.isupper() else lines[0] != lines[0].lower()):
        raise ValueError('another kind of key')
    return data

# ---------------------------------------------------------------- constants of the format
MAGIC = b'zqlite sealed\r\n\x1a'
COPY, DATA, HOLE, HOLE_LEN = 65536, 131072, 1 << 30, 65536
SIG_LEN, SUCCESSION_AT, TABLE_AT, ENTRY, MAC_AT, SLOT, BODY0 = 3309, 63164, 63776, 108, 65504, 2528, 2024
RESERVE = 48
L = 'zqlite/v1/'

def physical(logical): return logical + DATA + (HOLE_LEN if logical + DATA >= HOLE else 0)

def logical_size(size):
    if size <= DATA: return 0
    if size <= HOLE: return size - DATA
    if size <= HOLE + HOLE_LEN: return HOLE - DATA
    return size - DATA - HOLE_LEN

class FormatError(Exception):
    def __init__(self, status, verdict, detail=''):
        super().__init__(f'{verdict}{": " + detail if detail else ""}')
        self.status, self.verdict = status, verdict

def damaged(detail): return FormatError(4, 'altered or damaged', detail)

class EpochKeys:
    """Section 4."""
    def __init__(self, file_id, key):
        d = lambda what: hkdf(file_id, key, L + what)
        self.key = key
        self.page, self.header_mac, self.wal_mask = d('key/page'), d('key/header-mac'), d('key/wal-mask')
        self.journal_mac, self.table = d('key/journal-mac'), d('key/table')
        self.commitment = d('commitment')

# strings that are hashed, authenticated or signed
def slot_aad(file_id, epoch, kind): return file_id + be(epoch, 4) + be(kind, 2)
def hint_of(file_id, enc, pk): return sha256((L + 'slot/hint').encode() + b'\0' + file_id + enc + pk)[:4]
def details_aad(file_id, epoch, kind, hint): return (L + 'table/slot').encode() + b'\0' + file_id + be(epoch, 4) + be(kind, 2) + hint
def entry_aad(file_id, newest, epoch, commitment): return (L + 'table/epoch').encode() + b'\0' + file_id + be(newest, 4) + be(epoch, 4) + commitment
def header_mac(key, copy): return hmac256(key, (L + 'mac/header').encode() + b'\0' + copy[:MAC_AT])
def signed_message(copy, body): return (L + 'signature/header').encode() + b'\0' + copy[:24] + body
def journal_header_mac(key, offset, head): return hmac256(key, (L + 'mac/journal-header').encode() + b'\0' + be(offset, 8) + head[:48])
def super_journal_mac(key, jid, offset, trailer): return hmac256(key, (L + 'mac/super-journal').encode() + b'\0' + jid + be(offset, 8) + trailer)
def seed_of_passphrase(file_id, pw, salt, mem, passes, lanes):
    return hkdf(file_id, hash_secret_raw(pw, salt, passes, mem, lanes, 32, Type.ID, 0x13), L + 'seed/passphrase')
def seed_of_raw_key(file_id, raw): return hkdf(file_id, raw, L + 'seed/raw-key')

# ---------------------------------------------------------------- sections 5 and 6: header
class Slot: pass
class Entry: pass

class Copy:
    """One header copy, decoded strictly (F-1). Raises ValueError."""
    def __init__(self, b):
        def need(ok, what):
            if not ok: raise ValueError(what)
        need(len(b) == COPY and b[:16] == MAGIC, 'magic')
        need(u16(b, 16) == 1, 'version')
        need(u16(b, 18) == 1, 'suite')
        self.raw = b
        blen, self.revision, self.flags = u32(b, 20), u64(b, 24), u32(b, 32)
        self.min_epoch, self.progress, nent = u32(b, 36), u32(b, 40), u16(b, 44)
        need(self.flags in (0, 1), 'flags')
        self.populated = bool(self.flags & 1)
        need(not any(b[46:128]), 'prefix padding')
        need(blen >= BODY0 + SLOT and (blen - BODY0) % SLOT == 0 and (blen - BODY0) // SLOT <= 22, 'body length')
        self.body = body = b[128:128 + blen]
        self.file_id, self.page_size, self.generation, self.epoch = body[:16], u32(body, 16), u64(body, 20), u32(body, 28)
        self.commitment, nslots, signed, self.signer = body[32:64], u16(body, 64), u16(body, 66), body[72:2024]
        need(self.page_size in (4096, 8192, 16384, 32768, 65536), 'page size')
        need(self.revision >= 1 and self.generation >= 1 and self.epoch >= 1, 'counters')
        need(1 <= self.min_epoch <= self.epoch, 'minimum epoch')
        need(nslots == (blen - BODY0) // SLOT, 'number of slots')
        need(signed in (0, 1) and not any(body[68:72]), 'signed')
        self.signed = bool(signed)
        end = 128 + blen + (SIG_LEN if signed else 0)
        self.signature = b[128 + blen:end]
        need(signed or not any(self.signer), 'signer in an unsigned file')
        need(not any(b[end:SUCCESSION_AT]), 'padding')
        above = self.epoch
        for i in range(17):
            entry = b[SUCCESSION_AT + 36 * i:][:36]
            if not any(entry[:4]): need(not any(b[SUCCESSION_AT + 36 * i:TABLE_AT]), 'succession'); break
            need(u32(entry, 0) < above, 'succession'); above = u32(entry, 0)
        self.slots = []
        for i in range(nslots):
            r = body[BODY0 + SLOT * i:][:SLOT]
            s = Slot()
            s.kind, s.hint, s.enc, s.sealed = u16(r), r[4:8], r[8:1128], r[1128:1176]
            s.salt, s.memory, s.passes, s.lanes = r[1176:1192], u32(r, 1192), u32(r, 1196), u32(r, 1200)
            s.nonce, s.details, s.tag = r[1208:1232], r[1232:2512], r[2512:2528]
            need(s.kind in (1, 2, 3), 'slot kind')
            need(not any(r[2:4]) and not any(r[1204:1208]), 'slot padding')
            if s.kind == 2:
                need(19456 <= s.memory <= 1048576 and 2 <= s.passes <= 16 and 1 <= s.lanes <= 16, 'Argon2id parameters')
            else: need(not any(r[1176:1204]), 'Argon2id fields')
            self.slots.append(s)
        need(sum(s.kind == 2 for s in self.slots) <= 4, 'passphrase slots')
        need(nent <= 16, 'epoch table')
        need(nent or not self.progress, 'rekey progress')
        self.entries = []
        above = self.epoch
        for i in range(16):
            r = b[TABLE_AT + ENTRY * i:][:ENTRY]
            if i >= nent:
                need(not any(r), 'unused table entry')
                continue
            e = Entry()
            e.epoch, e.commitment, e.nonce, e.sealed, e.tag = u32(r), r[4:36], r[36:60], r[60:92], r[92:108]
            need(self.min_epoch <= e.epoch < above, 'table order')
            above = e.epoch
            self.entries.append(e)

class Credentials:
    def __init__(self, identities=(), raw_keys=(), passphrases=()):
        self.identities, self.raw_keys, self.passphrases = list(identities), list(raw_keys), list(passphrases)
        self._cache = {}

    def seeds(self, copy, slot):
        for kind, items in ((1, self.identities), (2, self.passphrases), (3, self.raw_keys)):
            if kind != slot.kind: continue
            for it in items:
                k = (kind, it, copy.file_id, slot.salt, slot.memory, slot.passes, slot.lanes)
                if k not in self._cache:
                    if kind == 1: seed = it
                    elif kind == 2: seed = seed_of_passphrase(copy.file_id, it, slot.salt, slot.memory, slot.passes, slot.lanes)
                    else: seed = seed_of_raw_key(copy.file_id, it)
                    self._cache[k] = seed, xwing_public(seed)
                yield self._cache[k]

class Header:
    """The header that counts (F-9), opened; keys: epoch -> EpochKeys. slot_index: None if only the other copy has a slot for the key."""
    def __init__(self, copy, key, slot_index=None, seed_pk=None):
        self.copy, self.opened_by = copy, slot_index
        self.keys = {copy.epoch: EpochKeys(copy.file_id, key)}
        newest = self.keys[copy.epoch]
        for e in copy.entries:
            k = xaes_open(newest.table, e.nonce, e.sealed, e.tag, entry_aad(copy.file_id, copy.epoch, e.epoch, e.commitment))
            if k is None: raise damaged('epoch table')
            ek = EpochKeys(copy.file_id, k)
            if not hmac.compare_digest(ek.commitment, e.commitment): raise damaged('epoch table')
            self.keys[e.epoch] = ek
        self.labels = []
        for i, s in enumerate(copy.slots):
            d = xaes_open(newest.table, s.nonce, s.details, s.tag, details_aad(copy.file_id, copy.epoch, s.kind, s.hint))
            if d is None: raise damaged('slot details')
            pk, n, label = d[:1216], d[1216], d[1217:]
            if n > 63 or any(label[n:]) or hint_of(copy.file_id, s.enc, pk) != s.hint or (i == slot_index and pk != seed_pk):
                raise damaged('slot details')
            try: self.labels.append(label[:n].decode('utf-8'))
            except UnicodeDecodeError: raise damaged('slot label') from None

def keys_from_slots(copy, creds):
    """(slot, its public key, epoch key that fits the commitment) for each slot that opens; whether a hint fits (F-6, F-12, F-13)"""
    found, any_hint = [], False
    for i, s in enumerate(copy.slots):
        for seed, pk in creds.seeds(copy, s):
            if not hmac.compare_digest(hint_of(copy.file_id, s.enc, pk), s.hint): continue
            any_hint = True
            shared = xwing_decaps(seed, s.enc)
            if shared is None: continue
            key, nonce = hpke_schedule(shared, (L + 'slot/wrap').encode())
            try: epoch_key = AESGCM(key).decrypt(nonce, s.sealed, slot_aad(copy.file_id, copy.epoch, s.kind))
            except InvalidTag: continue
            if hmac.compare_digest(EpochKeys(copy.file_id, epoch_key).commitment, copy.commitment): found.append((i, pk, epoch_key))
    return found, any_hint

# F-9: a verdict that says more stands before one that says less
VERDICTS = [(4, 'altered or damaged', 'altered'), (3, 'no key opens it', ''), (1, 'version or suite unknown', ''), (4, 'altered or damaged', 'damaged'), (1, 'not sealed', '')]
ALTERED, NO_KEY, UNKNOWN, DAMAGED, NOT_SEALED = range(5)

def undecodable(b):
    """The verdict over a copy that does not decode. A short one may hold only the beginning of the magic (F-11)."""
    if not b or b[:16] != MAGIC[:len(b)]: return NOT_SEALED
    return UNKNOWN if len(b) >= 20 and (u16(b, 16) != 1 or u16(b, 18) != 1) else DAMAGED

def open_header(region, creds, verify_key, file_id, notes):
    """The header that counts (F-9, F-17)."""
    raw = [region[:COPY], region[COPY:DATA]]
    verdicts, candidates = [], []
    for name, b in zip('AB', raw):
        try: candidates.append(Copy(b))
        except ValueError as e:
            verdicts.append(undecodable(b))
            notes.append(f'header copy {name} does not decode: {e}')
    if len(candidates) == 2 and raw[0] != raw[1]: notes.append('the header copies differ')
    candidates.sort(key=lambda c: (c.generation, c.revision), reverse=True)  # stable: A before B
    yields = [keys_from_slots(c, creds) for c in candidates]
    refused = []
    for c, (own, any_hint) in zip(candidates, yields):
        keys = own + [(None, None, k) for d, (other, _) in zip(candidates, yields) if d is not c and (d.file_id, d.epoch, d.commitment) == (c.file_id, c.epoch, c.commitment) for _, _, k in other]
        good = [x for x in keys if hmac.compare_digest(header_mac(EpochKeys(c.file_id, x[2]).header_mac, c.raw), c.raw[MAC_AT:])]
        if not good:
            verdicts.append(ALTERED if any_hint or keys else NO_KEY)
            continue
        try: check_signature(c, verify_key, file_id)
        except FormatError as e:
            if verify_key is None: raise  # only who expects a key passes a copy over
            refused.append(e)
            notes.append(f'a header copy is passed over: {e}')
            continue
        slot, pk, key = good[0]
        return Header(c, key, slot, pk)
    if refused: raise refused[0]  # it opens, which says more than any verdict over a copy that does not
    raise FormatError(*VERDICTS[min(verdicts)])

def check_signature(copy, verify_key, file_id):
    """F-17. Without an expected key that in the body must verify all the same, though it proves nothing by itself."""
    if file_id is not None and copy.file_id != file_id: raise FormatError(5, 'signature not the expected one', 'file id')
    if not copy.signed:
        if verify_key is not None: raise FormatError(5, 'signature missing')
        return
    if verify_key is not None and copy.signer != verify_key: raise FormatError(5, 'signature not the expected one')
    if not ML_DSA_65.verify(copy.signer, signed_message(copy.raw, copy.body), copy.signature, ctx=b''):
        raise FormatError(5, 'signature not the expected one')

# ---------------------------------------------------------------- section 9: pages
def page_aad(file_id, epoch, kind, number, dbsize=0, offset=0, ident=bytes(16)):
    return be(1, 2) + be(kind, 2) + be(epoch, 4) + file_id + be(number, 4) + be(dbsize, 4) + be(offset, 8) + ident

def seal_page(page, epoch, keys, nonce, aad):
    assert not any(page[-RESERVE:])
    ct, tag = xaes_seal(keys.page, nonce, page[:-RESERVE], aad)
    return ct + nonce + be(epoch, 4) + bytes(4) + tag

def open_page(header, stored, kind, number, dbsize=0, offset=0, ident=bytes(16)):
    """plain page, or None"""
    n = len(stored)
    nonce, epoch, zero, tag = stored[n - 48:n - 24], u32(stored, n - 24), stored[n - 20:n - 16], stored[n - 16:]
    if any(zero) or epoch < header.copy.min_epoch or epoch not in header.keys: return None
    aad = page_aad(header.copy.file_id, epoch, kind, number, dbsize, offset, ident)
    pt = xaes_open(header.keys[epoch].page, nonce, stored[:n - 48], tag, aad)
    return None if pt is None else pt + bytes(RESERVE)

# ---------------------------------------------------------------- section 10: WAL
def wal_delta(key, offset): return dbl(aes(key, be(offset, 8) + bytes(8)))

def wal_mask(key, offset, block):
    d = wal_delta(key, offset)
    return xor(aes(key, xor(block, d)), d)

def wal_unmask(key, offset, block):
    d = wal_delta(key, offset)
    return xor(aes_inv(key, xor(block, d)), d)

def wal_checksum(big, data, s=(0, 0)):
    """SQLite's; big: the words are big-endian (last bit of the WAL magic)"""
    a, b = s
    order = 'big' if big else 'little'
    for i in range(0, len(data), 8):
        a = a + int.from_bytes(data[i:i + 4], order) + b & 0xffffffff
        b = b + int.from_bytes(data[i + 4:i + 8], order) + a & 0xffffffff
    return a, b

def read_wal(header, wal, notes):
    """(plain WAL or b'', set of committed page numbers)"""
    if len(wal) < 32: return b'', set()
    head = None
    for epoch in sorted(header.keys, reverse=True):
        key = header.keys[epoch].wal_mask
        h = wal[:16] + wal_unmask(key, 16, wal[16:32])
        s = wal_checksum(wal[3] & 1, h[:24])
        if be(s[0], 4) + be(s[1], 4) == h[24:]:
            head = h
            notes.append(f'WAL masked under epoch {epoch}')
            break
    n = header.copy.page_size
    if head is None or u32(head) & ~1 != 0x377f0682 or u32(head, 4) != 3007000 or u32(head, 8) != n:
        notes.append('the WAL header is not valid; the log is empty')
        return b'', set()
    out, o, committed, pending = bytearray(head), 32, set(), set()
    while o + 24 + n <= len(wal):
        fh = wal[o:o + 8] + wal_unmask(key, o + 8, wal[o + 8:o + 24])
        if fh[8:16] != head[16:24]: break
        page = open_page(header, wal[o + 24:o + 24 + n], 2, u32(fh), u32(fh, 4), o, head[16:24] + bytes(8))
        if page is None: break
        s = wal_checksum(head[3] & 1, page, wal_checksum(head[3] & 1, fh[:8], s))
        if be(s[0], 4) + be(s[1], 4) != fh[16:24]: break
        out += fh + page
        pending.add(u32(fh))
        if u32(fh, 4):
            committed |= pending
            pending = set()
        o += 24 + n
    notes.append(f'{(o - 32) // (24 + n)} WAL frames')
    return bytes(out), committed

# ---------------------------------------------------------------- section 11: rollback journal
JOURNAL_MAGIC = bytes.fromhex('d9d505f920a163d7')

def journal_checksum(seed, page):
    """What SQLite expects after a record (F-30); the sealed journal holds four bytes of no meaning there"""
    i = len(page) - 200
    while i > 0:
        seed += page[i]
        i -= 200
    return seed & 0xffffffff

def journal_header(header, j, o, jid):
    """(SQLite's 28 bytes, id, journal MAC key) of the header at o; None where the journal ends (F-29). jid: that of the header at offset 0."""
    h = j[o:o + 512]
    if len(h) < 512 or h[:8] != JOURNAL_MAGIC: return None
    if jid is not None and h[28:44] != jid: return None
    keys = header.keys.get(u32(h, 44))
    if keys is None or any(h[80:]) or not hmac.compare_digest(journal_header_mac(keys.journal_mac, o, h), h[48:80]):
        raise damaged(f'journal header at {o}')
    if u32(h, 20) != 512 or u32(h, 24) != header.copy.page_size: raise damaged(f'journal header at {o}')
    return h[:28], h[28:44], keys.journal_mac

def super_journal_trailer(j, jid, mac_key):
    """(offset, trailer) or None (F-32): trailer, MAC, and the trailer once more, at the end of the file"""
    if len(j) < 16 or j[-8:] != JOURNAL_MAGIC: return None
    length = 20 + int.from_bytes(j[-16:-12], 'big')
    t = len(j) - 2 * length - 32
    if length == 20 or t < 512 or j[t:t + length] != j[-length:]: return None
    mac = j[t + length:t + length + 32]
    return (t, j[t:t + length]) if hmac.compare_digest(super_journal_mac(mac_key, jid, t, j[t:t + length]), mac) else None

def read_journal(header, j, notes):
    """(plain journal or b'', initial page count or None, set of page numbers it restores)"""
    n = header.copy.page_size
    first = journal_header(header, j, 0, None)
    if first is None:
        notes.append('the journal does not begin with a header; nothing to roll back')
        return b'', None, set()
    head, jid, mac_key = first
    initial, end = u32(head, 16), len(j)
    trailer = super_journal_trailer(j, jid, mac_key)
    if trailer:
        end = trailer[0]
        notes.append('super-journal ' + repr(trailer[1][4:-16]))
    j, out, o, pages = j[:end], bytearray(), 0, set()
    while o + 512 <= end:
        got = journal_header(header, j, o, jid)
        if got is None: break
        h = got[0]
        count, seed = u32(h, 8), u32(h, 12)
        out += bytes(o - len(out)) + h + bytes(484)
        o += 512
        records = (end - o) // (n + 8) if count == 0xffffffff else count
        i = 0
        while i < records:
            page = open_page(header, j[o + 4:o + 4 + n], 3, u32(j, o), 0, o, jid) if o + n + 8 <= end else None
            if page is None:
                if count != 0xffffffff: raise damaged(f'journal record at {o}')  # F-31
                break
            out += j[o:o + 4] + page + be(journal_checksum(seed, page), 4)
            pages.add(u32(j, o))
            o += n + 8
            i += 1
        notes.append(f'journal segment of {i} records (count {count:#x})')
        if count == 0xffffffff: break
        o += -o % 512
    if trailer: out += bytes(trailer[0] - len(out)) + trailer[1]
    return bytes(out), initial, pages

# ---------------------------------------------------------------- the whole file
def read_sealed(path, creds, verify_key=None, file_id=None, sidecars=True):
    notes = []
    with open(path, 'rb') as f:
        size = os.fstat(f.fileno()).st_size
        header = open_header(f.read(DATA), creds, verify_key, file_id, notes)
        c = header.copy
        n, logical = c.page_size, logical_size(size)
        if size > HOLE:
            f.seek(HOLE)
            if any(f.read(HOLE_LEN)): raise damaged('hole')
        if logical == 0 and c.populated: raise damaged('no pages in a populated file')
        if logical and not c.populated: notes.append('pages in a file that is not marked populated')
        side = {}
        for suffix in ('-wal', '-journal') if sidecars else ():
            if os.path.exists(path + suffix) and os.path.getsize(path + suffix):
                with open(path + suffix, 'rb') as g: side[suffix] = g.read()
        plain_wal, in_wal = read_wal(header, side['-wal'], notes) if '-wal' in side else (b'', set())
        plain_j, initial, in_journal = read_journal(header, side['-journal'], notes) if '-journal' in side else (b'', None, set())
        pages, epochs = [], {}
        for number in range(1, (logical + n - 1) // n + 1):
            f.seek(physical((number - 1) * n))
            stored = f.read(n)
            page = open_page(header, stored, 1, number) if len(stored) == n else None
            if page is None:
                if number in in_wal or number in in_journal or (initial is not None and number > initial):
                    notes.append(f'page {number} does not open; recovery replaces it')
                    page = bytes(n)
                else: raise damaged(f'page {number}')
            else: epochs[u32(stored, n - 24)] = epochs.get(u32(stored, n - 24), 0) + 1
            pages.append(page)
    if pages and any(pages[0]):
        p = pages[0]
        if p[20] != RESERVE or (u16(p, 16) if u16(p, 16) != 1 else 65536) != n: raise damaged('page 1')
        # F-24. What recovery writes (or cuts off) need not be there; after a rollback the count is the journal's.
        count, there = (u32(p, 28), in_wal) if initial is None else (initial, in_journal)
        missing = next((i for i in range(len(pages) + 1, count + 1) if i not in there), None)
        if missing: raise damaged(f'page {missing} is beyond the end')
    plain = b''.join(pages)
    report = dict(
        page_size=n, pages=len(pages), file_id=c.file_id.hex(), revision=c.revision, generation=c.generation, epoch=c.epoch,
        minimum_epoch=c.min_epoch, rekey_progress=c.progress, populated=c.populated, older_epochs=[e.epoch for e in c.entries],
        slots=[dict(kind=('recipient', 'passphrase', 'raw-key')[s.kind - 1], label=l) for s, l in zip(c.slots, header.labels)],
        opened_by_slot=header.opened_by, signed=c.signed, pages_by_epoch={str(k): v for k, v in sorted(epochs.items())},
        sha256=sha256(plain).hex(), notes=notes)
    if c.signed: report['verifying_key'] = bech32_encode('zqlite-verify', c.signer)
    return plain, plain_wal, plain_j, report

def drop_line_end(b): return b[:-2] if b.endswith(b'\r\n') else b.removesuffix(b'\n')

def read_file(path):
    with open(path, 'rb') as f: return f.read()

def main():
    a = argparse.ArgumentParser(description='Reads a sealed database (FORMAT.md, version 1).')
    a.add_argument('sealed')
    a.add_argument('--identity', action='append', default=[], metavar='FILE')
    a.add_argument('--raw-key-file', action='append', default=[], metavar='FILE')
    a.add_argument('--passphrase-file', action='append', default=[], metavar='FILE')
    a.add_argument('--verify-key', metavar='TEXT-OR-FILE', help='the expected verifying key')
    a.add_argument('--file-id', metavar='HEX', help='the expected file id')
    a.add_argument('--no-sidecars', action='store_true', help='do not look at -wal and -journal')
    a.add_argument('-o', dest='out', metavar='PLAIN')
    a = a.parse_args()
    try:
        creds = Credentials()
        for f in a.identity: creds.identities.append(key_text(read_file(f).decode('utf-8'), 'AGE-SECRET-KEY-PQ-', 32))
        for f in a.raw_key_file:
            b = read_file(f)
            if len(b) != 32:
                text = drop_line_end(b).decode('ascii')
                if len(text) != 64: raise ValueError('raw key file')
                b = bytes.fromhex(text)
            creds.raw_keys.append(b)
        for f in a.passphrase_file: creds.passphrases.append(drop_line_end(read_file(f)))
        vk = fid = None
        if a.verify_key: vk = key_text(a.verify_key if a.verify_key.startswith('zqlite-verify1') else read_file(a.verify_key).decode('utf-8'), 'zqlite-verify', 1952)
        if a.file_id: fid = bytes.fromhex(a.file_id)
    except (OSError, ValueError) as e:
        print(f'read_format: {e}', file=sys.stderr)
        return 2
    try: plain, wal, journal, report = read_sealed(a.sealed, creds, vk, fid, not a.no_sidecars)
    except FormatError as e:
        print(f'read_format: {e}', file=sys.stderr)
        return e.status
    if a.out:
        for suffix, data in (('', plain), ('-wal', wal), ('-journal', journal), ('-shm', b'')):
            if suffix and not data:
                if os.path.exists(a.out + suffix): os.remove(a.out + suffix)
                continue
            with open(a.out + suffix, 'wb') as f: f.write(data)
    print(json.dumps(report, indent=1, ensure_ascii=False))
    return 0

if __name__ == '__main__': sys.exit(main())
