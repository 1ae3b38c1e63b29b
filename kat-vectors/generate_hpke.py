#!/usr/bin/env python3
"""HPKE (RFC 9180) base mode over X-Wing (KEM 0x647a), HKDF-SHA256, AES-256-GCM: vectors of our own suite, for which
nobody publishes any. Shares no code with the product. Its key schedule is asserted against the vectors of
draft-ietf-hpke-pq for the same KEM and KDF (public/hpke_pq.jsonl) before it writes a line.
Needs: pip install kyber-py==1.2.0 cryptography>=50
Usage: generate_hpke.py PUBLIC_HPKE_PQ_JSONL OUT_JSONL [SEED] [N]"""
import sys, json, hashlib, hmac
from kyber_py.ml_kem import ML_KEM_768
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

INFO = b'zqlite/v1/slot/wrap'
KEM_ID, HKDF_SHA256, AES_256_GCM, CHACHA20_POLY1305 = 0x647a, 1, 2, 3


def xwing_expand(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    ek, dk = ML_KEM_768._keygen_internal(expanded[:32], expanded[32:64])
    x = X25519PrivateKey.from_private_bytes(expanded[64:])
    return ek, dk, x, x.public_key().public_bytes_raw()


def xwing_combine(ss_m, ss_x, ct_x, pk_x):
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + b'\\.//^\\').digest()


def xwing_encaps(ek, pk_x, eseed):
    ss_m, ct_m = ML_KEM_768._encaps_internal(ek, eseed[:32])
    e = X25519PrivateKey.from_private_bytes(eseed[32:])
    ct_x = e.public_key().public_bytes_raw()
    ss_x = e.exchange(X25519PublicKey.from_public_bytes(pk_x))
    return ct_m + ct_x, xwing_combine(ss_m, ss_x, ct_x, pk_x)


def labeled_extract(suite, salt, label, ikm):
    return hmac.new(salt or bytes(32), b'HPKE-v1' + suite + label + ikm, 'sha256').digest()


def labeled_expand(suite, prk, label, info, length):
    info = length.to_bytes(2, 'big') + b'HPKE-v1' + suite + label + info
    out, block, i = b'', b'', 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([i]), 'sha256').digest()
        out, i = out + block, i + 1
    return out[:length]


def key_schedule_base(aead_id, shared_secret, info):
    """RFC 9180, section 5.1, mode_base: key, base nonce."""
    suite = b'HPKE' + b''.join(n.to_bytes(2, 'big') for n in (KEM_ID, HKDF_SHA256, aead_id))
    context = (b'\0' + labeled_extract(suite, b'', b'psk_id_hash', b'')
               + labeled_extract(suite, b'', b'info_hash', info))
    secret = labeled_extract(suite, shared_secret, b'secret', b'')
    return labeled_expand(suite, secret, b'key', context, 32), labeled_expand(suite, secret, b'base_nonce', context, 12)


def check_against_published(path):
    checked = 0
    for line in open(path):
        v = {k: bytes.fromhex(x) if isinstance(x, str) and k != 'id' else x for k, x in json.loads(line).items()}
        ek, dk, x, pk_x = xwing_expand(v['skRm'])
        assert ek + pk_x == v['pkRm']
        enc, shared_secret = xwing_encaps(ek, pk_x, v['ikmE'])
        assert enc == v['enc'] and shared_secret == v['shared_secret']
        if (v['kdf_id'], v['aead_id']) == (HKDF_SHA256, CHACHA20_POLY1305):
            key, nonce = key_schedule_base(CHACHA20_POLY1305, shared_secret, v['info'])
            assert key == v['key'] and nonce == v['base_nonce']
            assert ChaCha20Poly1305(key).encrypt(nonce, v['pt'], v['aad']) == v['ct']
            checked += 1
    assert checked == 1, checked


def main():
    published, out = sys.argv[1], sys.argv[2]
    seed = sys.argv[3] if len(sys.argv) > 3 else 'zqlite-hpke-v1'
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 16
    check_against_published(published)
    draw = lambda label, n: hashlib.shake_256(f'{seed}|{label}'.encode()).digest(n)
    with open(out, 'w') as f:
        for i in range(count):
            identity, eseed, pt = draw(f'identity{i}', 32), draw(f'eseed{i}', 64), draw(f'key{i}', 32)
            aad = draw(f'aad{i}', [0, 1, 21, 64][i % 4])
            ek, dk, x, pk_x = xwing_expand(identity)
            enc, shared_secret = xwing_encaps(ek, pk_x, eseed)
            key, nonce = key_schedule_base(AES_256_GCM, shared_secret, INFO)
            ct = AESGCM(key).encrypt(nonce, pt, aad)
            fields = dict(seed=identity, eseed=eseed, pk=ek + pk_x, info=INFO, aad=aad, pt=pt, enc=enc,
                          shared_secret=shared_secret, key=key, base_nonce=nonce, ct=ct)
            record = {'id': f'hpke:{i}', **{k: v.hex() for k, v in fields.items()}}
            f.write(json.dumps(record, separators=(',', ':')) + '\n')
    print('hpke', count)


main()
