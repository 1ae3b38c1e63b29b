#!/usr/bin/env python3
"""Known answers for seals and proofs, from FORMAT.md section 17 and RFC 9162 section 2.1 alone (hashlib, nothing else).

Usage: make_seal_vectors.py > vectors.jsonl

Deterministic. Page i of a case is SHAKE256("case|page|i") of the page size; what a key and a signature would be are
such bytes, too: a seal's bytes are judged here, not its signature."""
import hashlib
import json
import struct

VERSION, SUITE = 1, 1


def draw(label, length):
    return hashlib.shake_256(label.encode()).digest(length)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf(file_id, number, page):
    return sha(b"\0", file_id, struct.pack(">I", number), page)


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(leaves):  # RFC 9162, section 2.1.1
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha(b"\1", mth(leaves[:k]), mth(leaves[k:]))


def path(m, leaves):  # RFC 9162, section 2.1.3.1
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return path(m, leaves[:k]) + [mth(leaves[k:])]
    return path(m - k, leaves[k:]) + [mth(leaves[:k])]


def case(name, pages, page_size, proven):
    file_id = draw(f"{name}|file id", 16)
    stored = [draw(f"{name}|page|{i}", page_size) for i in range(1, pages + 1)]
    leaves = [leaf(file_id, i + 1, page) for i, page in enumerate(stored)]
    header_hash = draw(f"{name}|header", 32)
    generation = 1 + int.from_bytes(draw(f"{name}|generation", 6), "big")
    revision = 1 + int.from_bytes(draw(f"{name}|revision", 6), "big")
    time = int.from_bytes(draw(f"{name}|time", 5), "big")
    root = mth(leaves)
    seal = b"".join([
        b"zqlite state\r\n\x1a\n", struct.pack(">HH", VERSION, SUITE), file_id,
        struct.pack(">IIQQ", page_size, pages, generation, revision), header_hash, root,
        struct.pack(">Q", time), draw(f"{name}|signer", 1952), draw(f"{name}|signature", 3309),
    ])
    assert len(seal) == 5393
    proofs = []
    for number in proven:
        way = path(number - 1, leaves)
        proof = b"".join([
            b"zqlite proof\r\n\x1a\n", struct.pack(">HH", VERSION, SUITE), sha(seal),
            struct.pack(">IIHH", number, page_size, len(way), 0), stored[number - 1], *way,
        ])
        assert len(proof) == 64 + page_size + 32 * len(way)
        proofs.append(dict(number=number, path=[h.hex() for h in way], sha256=sha(proof).hex()))
    print(json.dumps(dict(
        id=name, file_id=file_id.hex(), page_size=page_size, pages=pages, generation=generation,
        revision=revision, header_hash=header_hash.hex(), root=root.hex(), time=time,
        leaf_1=leaves[0].hex(), seal_sha256=sha(seal).hex(), proofs=proofs), separators=(",", ":")))


for n in range(1, 34):
    case(f"all-{n}", n, 4096, range(1, n + 1))
for n in (63, 64, 65, 100, 127, 128, 129, 1000):
    case(f"some-{n}", n, 4096, sorted({1, 2, n // 2, n - 1, n}))
for size in (8192, 16384, 32768, 65536):
    case(f"size-{size}", 5, size, range(1, 6))
