// Another implementation of age, and an attacker who knows the epoch key, for the tests beside this file.
//
//   node --input-type=module - COMMAND ARGUMENT… < age.mjs
//
// runs in a folder in which the package `age-encryption` is installed. Offsets and labels are FORMAT.md's.

import { Decrypter, Encrypter, generateHybridIdentity, identityToRecipient, Stanza } from "age-encryption";
import { MLKEM768X25519 } from "@noble/post-quantum/hybrid.js";
import { base64nopad, bech32 } from "@scure/base";
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const COPY = 65536, BODY = 128, SLOT = BODY + 2024, ENC = SLOT + 8, WRAPPED = ENC + 1120, MAC = 65504;
const text = (string) => Buffer.from(string, "utf8");
const be = (value, length) => { const b = Buffer.alloc(length); b.writeUIntBE(value, 0, length); return b; };
const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const hmac = (key, ...parts) => createHmac("sha256", key).update(Buffer.concat(parts)).digest();

// --- HPKE (RFC 9180, base mode, HKDF-SHA256) over the package's KEM ------------------------------------

const AGE_INFO = text("age-encryption.org/mlkem768x25519"), OUR_INFO = text("zqlite/v1/slot/wrap");
const AES = { id: 2, name: "aes-256-gcm" }, CHACHA = { id: 3, name: "chacha20-poly1305" };
/** What each use of the same keys says to HPKE; the last two differ from a real one in the info alone. */
const USES = {
    ours: { info: OUR_INFO, aead: AES, boundToFile: true },
    age: { info: AGE_INFO, aead: CHACHA, boundToFile: false },
    "ours, but for the info": { info: AGE_INFO, aead: AES, boundToFile: true },
    "age, but for the info": { info: OUR_INFO, aead: CHACHA, boundToFile: false },
};

function schedule(shared, { info, aead }) {
    const suite = Buffer.concat([text("HPKE"), be(0x647a, 2), be(1, 2), be(aead.id, 2)]);
    const extract = (salt, label, ikm) => hmac(salt, text("HPKE-v1"), suite, text(label), ikm);
    const none = Buffer.alloc(0);
    const context = Buffer.concat([be(0, 1), extract(none, "psk_id_hash", none), extract(none, "info_hash", info)]);
    const secret = extract(shared, "secret", none);
    const expand = (label, length) =>
        hmac(secret, be(length, 2), text("HPKE-v1"), suite, text(label), context, be(1, 1)).subarray(0, length);
    return { key: expand("key", 32), nonce: expand("base_nonce", 12) };
}

function wrap(recipient, plain, use, aad) {
    const { cipherText, sharedSecret } = MLKEM768X25519.encapsulate(recipientBytes(recipient));
    const { key, nonce } = schedule(sharedSecret, use);
    const cipher = createCipheriv(use.aead.name, key, nonce, { authTagLength: 16 });
    cipher.setAAD(use.boundToFile ? aad : Buffer.alloc(0));
    const wrapped = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    return { enc: Buffer.from(cipherText), wrapped };
}

function unwrap(identity, enc, wrapped, use, aad) {
    const { key, nonce } = schedule(MLKEM768X25519.decapsulate(enc, identityBytes(identity)), use);
    const decipher = createDecipheriv(use.aead.name, key, nonce, { authTagLength: 16 });
    decipher.setAAD(aad);
    decipher.setAuthTag(wrapped.subarray(-16));
    return Buffer.concat([decipher.update(wrapped.subarray(0, -16)), decipher.final()]);
}

const recipientBytes = (recipient) => Uint8Array.from(bech32.fromWords(bech32.decode(recipient, false).words));
const identityBytes = (identity) => bech32.decodeToBytes(identity).bytes;
/** The identity in a key file: the line that is no comment. */
const readIdentity = (file) => readFileSync(file, "utf8").split("\n").find((line) => /^[^#\s]/.test(line)).trim();

// --- a sealed file with one slot ----------------------------------------------------------------------

function readSealed(file) {
    const bytes = readFileSync(file);
    const body = bytes.subarray(BODY, SLOT);
    const [fileId, epoch, kind] = [body.subarray(0, 16), body.subarray(28, 32), bytes.subarray(SLOT, SLOT + 2)];
    return { bytes, fileId, commitment: body.subarray(32, 64), aad: Buffer.concat([fileId, epoch, kind]) };
}

const derive = (sealed, key, label) => Buffer.from(hkdfSync("sha256", key, sealed.fileId, label, 32));

function epochKey(sealed, identity) {
    const { bytes, aad } = sealed;
    const key = unwrap(identity, bytes.subarray(ENC, WRAPPED), bytes.subarray(WRAPPED, WRAPPED + 48), USES.ours, aad);
    if (!derive(sealed, key, "zqlite/v1/commitment").equals(sealed.commitment)) throw Error("not the key");
    return key;
}

/** Writes the file with another wrapped key in its slot; hint and MAC are right. */
function writeForged(sealed, key, recipient, { enc, wrapped }, out) {
    const { bytes, fileId } = sealed;
    const hint = sha256(text("zqlite/v1/slot/hint"), be(0, 1), fileId, enc, recipientBytes(recipient)).subarray(0, 4);
    const macKey = derive(sealed, key, "zqlite/v1/key/header-mac");
    for (const at of [0, COPY]) {
        const copy = bytes.subarray(at, at + COPY);
        hint.copy(copy, SLOT + 4);
        enc.copy(copy, ENC);
        wrapped.copy(copy, WRAPPED);
        hmac(macKey, text("zqlite/v1/mac/header"), be(0, 1), copy.subarray(0, MAC)).copy(copy, MAC);
    }
    writeFileSync(out, bytes);
}

// --- age files ----------------------------------------------------------------------------------------

/** An age file with one post-quantum stanza that `stanza` makes from the file key. */
async function writeAge(content, stanza, out) {
    const encrypter = new Encrypter();
    encrypter.addRecipient({
        wrapFileKey(fileKey) {
            const { enc, wrapped } = stanza(fileKey);
            return [new Stanza(["mlkem768x25519", base64nopad.encode(enc)], wrapped)];
        },
    });
    writeFileSync(out, await encrypter.encrypt(content));
}

/** The one stanza of an age file; age wraps the lines of its body at 64 characters, and 32 bytes are 43. */
function readStanza(file) {
    const [, enc, body] = /^age[^\n]*\n-> mlkem768x25519 (\S+)\n(\S+)\n---/.exec(readFileSync(file, "latin1"));
    return { enc: Buffer.from(base64nopad.decode(enc)), body: Buffer.from(base64nopad.decode(body)) };
}

const commands = {
    /** A new identity into a file; its recipient to stdout. */
    async keygen(file) {
        const identity = await generateHybridIdentity();
        writeFileSync(file, identity + "\n", { mode: 0o600 });
        return identityToRecipient(identity);
    },
    recipient: (file) => identityToRecipient(readIdentity(file)),
    async encrypt(recipient, content, out) {
        const encrypter = new Encrypter();
        encrypter.addRecipient(recipient);
        writeFileSync(out, await encrypter.encrypt(content));
    },
    async decrypt(identityFile, file) {
        const decrypter = new Decrypter();
        decrypter.addIdentity(readIdentity(identityFile));
        return decrypter.decrypt(readFileSync(file), "text");
    },
    /** The sealed file with its epoch key wrapped anew, for the same recipient, by this use. */
    async rewrap(file, identityFile, use, out) {
        const sealed = readSealed(file), identity = readIdentity(identityFile);
        const [key, recipient] = [epochKey(sealed, identity), await identityToRecipient(identity)];
        writeForged(sealed, key, recipient, wrap(recipient, key, USES[use], sealed.aad), out);
    },
    /** An age file whose file key is wrapped by this use. */
    "encrypt-by": (recipient, content, use, sealedFile, out) =>
        writeAge(content, (fileKey) => wrap(recipient, fileKey, USES[use], readSealed(sealedFile).aad), out),
    /** The sealed file with the stanza of an age file, bytes as they are, in its slot. */
    async "stanza-to-slot"(ageFile, file, identityFile, out) {
        const sealed = readSealed(file), identity = readIdentity(identityFile);
        const [key, recipient] = [epochKey(sealed, identity), await identityToRecipient(identity)];
        const { enc, body } = readStanza(ageFile);
        writeForged(sealed, key, recipient, { enc, wrapped: Buffer.concat([body, Buffer.alloc(16)]) }, out);
    },
    /** An age file whose stanza is the slot of a sealed file: enc, and 32 bytes of its ciphertext from `from`. */
    "slot-to-stanza"(file, from, length, out) {
        const { bytes } = readSealed(file), start = WRAPPED + Number(from);
        const stanza = { enc: bytes.subarray(ENC, WRAPPED), wrapped: bytes.subarray(start, start + Number(length)) };
        return writeAge("never read", () => stanza, out);
    },
};

const [command, ...args] = process.argv.slice(2);
const said = await commands[command](...args);
if (said !== undefined) console.log(said);
