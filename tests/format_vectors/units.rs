//! The unit vectors.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zqlite::pq::epoch::{EpochKeys, FileId};
use zqlite::pq::header::{COPY_LEN, Header};
use zqlite::pq::mask::WalMask;
use zqlite::pq::page::{PageContext, PageOpener, PageSealer, Place, TRAILER_LEN, Trailer};
use zqlite::pq::passphrase::{self, Argon2Params};
use zqlite::pq::slot::{SLOT_LEN, Slot};
use zqlite::pq::wrap::{self, WrappedKey};
use zqlite::pq::{
    EpochKey, Identity, Passphrase, RawKey, Recipient, Signature, SigningKey, VerifyingKey, hazmat,
    kdf, label, xaes,
};

use super::{Case, sha256, unpack, vectors};

fn unit(name: &str) -> Case {
    vectors().get("unit").get(name)
}

fn units(name: &str, expected_len: usize) -> Vec<Case> {
    let list = vectors().get("unit").list(name);
    assert_eq!(list.len(), expected_len, "{name}");
    list
}

fn keys(case: &Case) -> EpochKeys {
    let key = EpochKey::from_bytes(case.array("epoch_key"));
    EpochKeys::derive(&FileId::from_bytes(case.array("file_id")), key, 1)
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap()
}

/// Compares what is derived from an epoch key with a vector; keys that cannot be read, by what they make.
pub(super) fn assert_derived(keys: &EpochKeys, expected: &Case) {
    assert_eq!(keys.commitment(), &expected.array::<32>("commitment"));
    for (key, name) in [
        (keys.page_key(), "page_key"),
        (keys.table_key(), "table_key"),
    ] {
        let reference = xaes::Key::new(&expected.array(name));
        let seal = |key: &xaes::Key| {
            let mut buf = *b"0123456789abcdef";
            (key.seal_in_place(&[3; 24], b"aad", &mut buf), buf)
        };
        assert_eq!(seal(key), seal(&reference), "{name}");
    }
    let mask = WalMask::new(&expected.array("wal_mask_key"));
    assert_eq!(keys.wal_mask().mask(40, [7; 16]), mask.mask(40, [7; 16]));
    let mac = keys
        .header_mac()
        .chain_update(b"text")
        .finalize()
        .into_bytes();
    let reference = hmac(&expected.bytes("header_mac_key"))
        .chain_update(b"text")
        .finalize();
    assert_eq!(mac, reference.into_bytes());
    let mac = keys.journal_mac(label::JOURNAL_HEADER_MAC, &[b"te", b"xt"]);
    let reference = hmac(&expected.bytes("journal_mac_key"))
        .chain_update(b"zqlite/v1/mac/journal-header\0text")
        .finalize();
    assert_eq!(mac, <[u8; 32]>::from(reference.into_bytes()));
}

#[test]
fn every_unit_vector_has_a_test() {
    let unit = vectors().members("unit");
    let mut names: Vec<_> = unit.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let tested = [
        "derivation",
        "hint",
        "hpke_all_zero",
        "hpke_wrap",
        "journal_checksum",
        "journal_header",
        "key_text",
        "logical_size",
        "nonce_sequence",
        "page_aad",
        "page_offset",
        "page_seal",
        "physical_offset",
        "seed",
        "super_journal",
        "wal_mask",
        "xaes",
    ];
    assert_eq!(names, tested);
}

#[test]
fn keys_are_derived_under_their_labels() {
    let v = unit("derivation");
    let (salt, key) = (v.bytes("file_id"), v.bytes("epoch_key"));
    let labels = [
        ("page_key", label::PAGE_KEY),
        ("header_mac_key", label::HEADER_MAC_KEY),
        ("wal_mask_key", label::WAL_MASK_KEY),
        ("journal_mac_key", label::JOURNAL_MAC_KEY),
        ("table_key", label::TABLE_KEY),
        ("commitment", label::COMMITMENT),
    ];
    for (name, label) in labels {
        assert_eq!(
            *kdf::hkdf_sha256(&salt, &key, label),
            v.array::<32>(name),
            "{name}"
        );
    }
    assert_derived(&keys(&v), &v);
}

#[test]
fn xaes_seals_and_opens_as_in_the_vectors() {
    for v in units("xaes", 6) {
        let key = xaes::Key::new(&v.array("key"));
        let (nonce, aad, plaintext) = (v.array("nonce"), v.bytes("aad"), v.bytes("plaintext"));
        let mut buf = plaintext.clone();
        let tag = key.seal_in_place(&nonce, &aad, &mut buf);
        assert_eq!(
            (buf.clone(), tag.to_vec()),
            (v.bytes("ciphertext"), v.bytes("tag"))
        );
        key.open_in_place(&nonce, &aad, &mut buf, &tag).unwrap();
        assert_eq!(buf, plaintext);
        let (prefix, rest) = nonce.split_first_chunk::<12>().unwrap();
        assert_eq!(rest, v.bytes("derived_nonce"));
        let mut buf = plaintext;
        let again = key
            .derive(prefix)
            .seal_in_place(&v.array("derived_nonce"), &aad, &mut buf);
        let given = zqlite::pq::aead::Key::new(&v.array("derived_key"));
        let mut reference = v.bytes("plaintext");
        assert_eq!(
            given.seal_in_place(&v.array("derived_nonce"), &aad, &mut reference),
            again
        );
        assert_eq!(reference, buf);
    }
}

#[test]
fn a_batch_counts_its_nonces_up_from_the_drawn_one() {
    let keys = keys(&unit("derivation"));
    let mut nonces = 0;
    for v in units("nonce_sequence", 2) {
        let mut sealer = PageSealer::new(&keys, &v.array("drawn"));
        for expected in v.get("nonces").0.as_array().unwrap() {
            let mut page = vec![0; 4_096];
            let context = context(&[1; 16], 1, Place::Database);
            sealer.seal(&context, &mut page).unwrap();
            let nonce = hex::encode(Trailer::decode(&page).unwrap().nonce);
            assert_eq!(nonce, expected.as_str().unwrap());
            nonces += 1;
        }
    }
    assert_eq!(nonces, 8);
}

#[test]
fn wal_salts_and_checksums_are_masked_as_in_the_vectors() {
    for v in units("wal_mask", 5) {
        let mask = WalMask::new(&v.array("key"));
        let (offset, block) = (v.number("offset"), v.array("block"));
        assert_eq!(mask.mask(offset, block), v.array::<16>("masked"));
        assert_eq!(mask.unmask(offset, v.array("masked")), block);
    }
}

#[test]
fn the_wal_of_the_vector_file_is_masked_under_the_key_of_the_epoch_that_began_it() {
    let file = super::file("wal.zqlite");
    let wal = file.get("wal");
    assert_eq!(
        (wal.number::<u32>("mask_epoch"), file.number::<u32>("epoch")),
        (1, 2)
    );
    let epoch = file.get("epochs").get("1");
    let mask = WalMask::new(&epoch.array("wal_mask_key"));
    let tail = |bytes: Vec<u8>| *bytes.last_chunk::<16>().unwrap();
    assert_eq!(
        mask.mask(16, tail(wal.bytes("header"))),
        tail(wal.bytes("masked_header"))
    );
    let frames = wal.list("frames");
    assert_eq!(frames.len(), 11);
    for frame in frames {
        let masked = mask.mask(
            frame.number::<u64>("offset") + 8,
            tail(frame.bytes("header")),
        );
        assert_eq!(masked, tail(frame.bytes("masked_header")));
    }
}

fn context(file_id: &[u8; 16], number: u32, place: Place) -> PageContext {
    PageContext {
        file_id: FileId::from_bytes(*file_id),
        number,
        place,
    }
}

#[test]
fn pages_are_bound_to_their_place_by_the_associated_data_of_the_vectors() {
    for v in units("page_aad", 4) {
        let (offset, ident) = (v.number("offset"), v.array::<16>("ident"));
        let commit_size = v.number("frame_database_size");
        let place = match v.number::<u16>("kind") {
            1 => Place::Database,
            2 => Place::Wal {
                frame_offset: offset,
                commit_size,
                salts: *ident.first_chunk().unwrap(),
            },
            3 => Place::Journal {
                record_offset: offset,
                id: ident,
            },
            other => panic!("{other}"),
        };
        let context = context(&v.array("file_id"), v.number("page"), place);
        assert_eq!(
            context.associated_data(v.number("epoch")).as_slice(),
            v.bytes("aad")
        );
    }
}

#[test]
fn a_page_is_sealed_to_the_bytes_of_the_vector_and_opens_again() {
    let v = unit("page_seal");
    let keys = keys(&unit("derivation"));
    let context = context(&v.array("file_id"), v.number("page"), Place::Database);
    let mut page = v.bytes("plaintext");
    PageSealer::new(&keys, &v.array("nonce"))
        .seal(&context, &mut page)
        .unwrap();
    assert_eq!(page, v.bytes("stored"));
    PageOpener::new().open(&keys, &context, &mut page).unwrap();
    assert_eq!(page, v.bytes("plaintext"));
    assert_eq!(page[page.len() - TRAILER_LEN..], [0; TRAILER_LEN]);
}

#[test]
fn an_epoch_key_is_wrapped_with_given_randomness_to_the_bytes_of_the_vector() {
    let v = unit("hpke_wrap");
    let identity = Identity::from_seed(v.array("xwing_seed"));
    let recipient = Recipient::from_bytes(&v.bytes("xwing_public_key")).unwrap();
    assert_eq!(identity.recipient(), recipient);
    assert_eq!(v.bytes("info"), label::SLOT_WRAP.as_bytes());
    let key = EpochKey::from_bytes(v.array("plaintext"));
    let wrapped = hazmat::wrap_key(
        &recipient,
        label::SLOT_WRAP,
        &v.bytes("aad"),
        &key,
        &v.array("eseed"),
    );
    assert_eq!(wrapped.enc.as_slice(), v.bytes("enc"));
    assert_eq!(wrapped.sealed.as_slice(), v.bytes("sealed"));
    let (_, secret) = hazmat::xwing_encapsulate(&recipient, &v.array("eseed")).unwrap();
    assert_eq!(secret.expose(), &v.array::<32>("shared_secret"));
    let opened = wrap::unwrap_key(&identity, label::SLOT_WRAP, &v.bytes("aad"), &wrapped).unwrap();
    assert_eq!(opened.expose(), key.expose());
}

#[test]
fn the_slots_of_the_vector_files_are_wrapped_hinted_and_bound_as_the_vectors_say() {
    let mut slots = 0;
    for file in vectors().list("files") {
        let dir = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(unpack(&file, dir.path())).unwrap();
        let mut copies = vec![(file.clone(), 0)];
        if file.has("copy_b") {
            copies.push((file.get("copy_b"), COPY_LEN));
        }
        let file_id = FileId::from_bytes(file.array("file_id"));
        let epoch: u32 = file.number("epoch");
        let epoch_key = || {
            EpochKey::from_bytes(
                file.get("epochs")
                    .get(&epoch.to_string())
                    .array("epoch_key"),
            )
        };
        for (copy, offset) in copies {
            for (index, v) in copy.list("slots").iter().enumerate() {
                let stored = &bytes[offset + 128 + 2_024 + index * SLOT_LEN..][..SLOT_LEN];
                let slot = Slot::decode(stored.try_into().unwrap()).unwrap();
                assert_eq!(slot.encode(), stored);
                let identity = Identity::from_seed(v.array("xwing_seed"));
                let recipient = identity.recipient();
                assert!(slot.hint_fits(&file_id, &recipient));
                let opened = slot.unwrap_key(&identity, &file_id, epoch).unwrap();
                assert_eq!(opened.expose(), epoch_key().expose());
                let aad = [
                    file_id.as_bytes().as_slice(),
                    &epoch.to_be_bytes(),
                    &slot.kind().number().to_be_bytes(),
                ]
                .concat();
                assert_eq!(aad, v.bytes("hpke_aad"));
                let wrapped = hazmat::wrap_key(
                    &recipient,
                    label::SLOT_WRAP,
                    &aad,
                    &epoch_key(),
                    &v.array("eseed"),
                );
                assert_eq!(sha256(&wrapped.enc), v.bytes("enc_sha256"));
                assert_eq!(wrapped.sealed.as_slice(), v.bytes("hpke_sealed"));
                assert_eq!(stored[8..1_128], wrapped.enc);
                let details = [b"zqlite/v1/table/slot\0", aad.as_slice(), &slot.hint()].concat();
                assert_eq!(details, v.bytes("details_aad"));
                slots += 1;
            }
        }
    }
    assert_eq!(slots, 11);
}

#[test]
fn a_hint_is_that_of_the_vector() {
    let v = unit("hint");
    let recipient = Recipient::from_bytes(&v.bytes("xwing_public_key")).unwrap();
    let file_id = FileId::from_bytes(v.array("file_id"));
    let mut stored = [0; SLOT_LEN];
    stored[1] = 1;
    stored[4..8].copy_from_slice(&v.bytes("hint"));
    stored[8..1_128].copy_from_slice(&v.bytes("enc"));
    assert!(
        Slot::decode(&stored)
            .unwrap()
            .hint_fits(&file_id, &recipient)
    );
    stored[7] ^= 1;
    assert!(
        !Slot::decode(&stored)
            .unwrap()
            .hint_fits(&file_id, &recipient)
    );
}

#[test]
fn passphrases_and_raw_keys_become_the_seeds_of_the_vectors() {
    for v in units("seed", 3) {
        let file_id = v.array("file_id");
        let seed = if v.number::<u16>("kind") == 2 {
            let passphrase = Passphrase::from_bytes(v.text("passphrase").into_bytes());
            let params = Argon2Params {
                memory_kib: v.number("memory_kib"),
                passes: v.number("passes"),
                lanes: v.number("lanes"),
            };
            passphrase::seed(&passphrase, &v.array("salt"), params, &file_id).unwrap()
        } else {
            passphrase::raw_key_seed(&RawKey::from_bytes(v.array("raw_key")), &file_id)
        };
        assert_eq!(*seed, v.array::<32>("seed"));
    }
}

#[test]
fn journal_headers_and_super_journal_trailers_have_the_macs_of_the_vectors() {
    let mut macs = 0;
    for v in units("journal_header", 3) {
        let offset = v.number::<u64>("offset").to_be_bytes();
        let mac = keys(&v).journal_mac(
            label::JOURNAL_HEADER_MAC,
            &[&offset, &v.bytes("bytes_0_48")],
        );
        assert_eq!(mac, v.array::<32>("mac"));
        macs += 1;
    }
    for v in units("super_journal", 3) {
        let offset = v.number::<u64>("offset").to_be_bytes();
        let parts: [&[u8]; 3] = [&v.bytes("journal_id"), &offset, &v.bytes("trailer")];
        assert_eq!(
            keys(&v).journal_mac(label::SUPER_JOURNAL_MAC, &parts),
            v.array::<32>("mac")
        );
        // SQLite's trailer around the name.
        let (trailer, name) = (v.bytes("trailer"), v.bytes("name"));
        let page = (1_u32 << 30) / v.number::<u32>("page_size") + 1;
        assert_eq!(trailer[..4], page.to_be_bytes());
        assert_eq!(trailer[4..trailer.len() - 16], name);
        macs += 1;
    }
    let file = super::file("journal.zqlite");
    let keys = EpochKeys::derive(
        &FileId::from_bytes(file.array("file_id")),
        EpochKey::from_bytes(file.get("epochs").get("1").array("epoch_key")),
        1,
    );
    for segment in file.get("journal").list("segments") {
        let (offset, header) = (
            segment.number::<u64>("offset").to_be_bytes(),
            segment.bytes("header"),
        );
        let mac = keys.journal_mac(label::JOURNAL_HEADER_MAC, &[&offset, &header[..48]]);
        assert_eq!(mac, header[48..]);
        macs += 1;
    }
    assert_eq!(macs, 9);
}

#[test]
fn record_checksums_are_those_that_sqlite_computes() {
    // The product's own sum is exercised by rolling back the vector file's journal; this is the rule of F-30.
    let seed_text = vectors().text("seed");
    for (index, v) in units("journal_checksum", 3).iter().enumerate() {
        let len: usize = v.number("page_size");
        let mut page = vec![0; len];
        assert_eq!(
            v.text("page_shake256_of"),
            format!("{seed_text}|unit|journal-page|{index}")
        );
        shake256(
            v.text("page_shake256_of").as_bytes(),
            &mut page[..len - TRAILER_LEN],
        );
        assert_eq!(sha256(&page), v.bytes("page_sha256"));
        let seed = u32::from_be_bytes(v.array("seed"));
        let offsets = (1..).map(|k| 200 * k).take_while(|below| *below < len);
        let sum = offsets.fold(seed, |sum, below| {
            sum.wrapping_add(page[len - below].into())
        });
        assert_eq!(sum.to_be_bytes(), v.array::<4>("checksum"));
    }
}

fn shake256(input: &[u8], output: &mut [u8]) {
    use shake::digest::{ExtendableOutput, Update, XofReader};
    let mut hasher = shake::Shake256::default();
    hasher.update(input);
    hasher.finalize_xof().read(output);
}

#[test]
fn the_owners_signatures_verify_over_the_signed_bytes_of_the_vectors() {
    let mut verified = 0;
    for file in vectors().list("files") {
        if !file.has("signature") {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(unpack(&file, dir.path())).unwrap();
        let credentials = file.get("credentials");
        let key: VerifyingKey = credentials.text("verifying_key").parse().unwrap();
        let signing_key = SigningKey::from_seed(credentials.array("signing_seed"));
        assert_eq!(signing_key.verifying_key(), &key);
        let mut copies = vec![(file.get("signature"), 0)];
        if file.has("copy_b") {
            copies.push((file.get("copy_b").get("signature"), COPY_LEN));
        }
        for (v, offset) in copies {
            let copy = &bytes[offset..][..COPY_LEN];
            let slots = Header::decode(copy).unwrap().slots().len();
            let end = 128 + 2_024 + slots * SLOT_LEN;
            let signed = [&copy[..24], &copy[128..end]].concat();
            let signature = Signature::from_bytes(&copy[end..end + 3_309]).unwrap();
            assert_eq!(sha256(signature.as_bytes()), v.bytes("signature_sha256"));
            key.verify(label::HEADER_SIGNATURE, &signed, &signature)
                .unwrap();
            let message = [label::HEADER_SIGNATURE.as_bytes(), &[0], &signed].concat();
            assert_eq!(message.len(), v.number::<usize>("message_length"));
            assert_eq!(sha256(&message), v.bytes("message_sha256"));
            assert_eq!(message[..64], v.bytes("message_start"));
            hazmat::verify_unlabelled(&key, &message, signature.as_bytes()).unwrap();
            verified += 1;
        }
    }
    assert_eq!(verified, 3);
}

#[test]
fn key_texts_read_and_write_as_in_the_vectors() {
    for v in units("key_text", 4) {
        let (text, data) = (v.text("text"), v.bytes("data"));
        match v.text("kind").as_str() {
            "identity" => {
                let key = Identity::parse(&text).unwrap();
                assert_eq!(
                    (key.expose_seed().as_slice(), key.to_text().as_str()),
                    (&*data, &*text)
                );
            }
            "recipient" => {
                let key: Recipient = text.parse().unwrap();
                assert_eq!((key.as_bytes().as_slice(), key.to_string()), (&*data, text));
            }
            "signing key" => {
                let key = SigningKey::parse(&text).unwrap();
                assert_eq!(
                    (key.expose_seed().as_slice(), key.to_text().as_str()),
                    (&*data, &*text)
                );
            }
            "verifying key" => {
                let key: VerifyingKey = text.parse().unwrap();
                assert_eq!((key.as_bytes().as_slice(), key.to_string()), (&*data, text));
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn an_all_zero_x25519_secret_is_refused_on_both_sides() {
    for v in units("hpke_all_zero", 4) {
        let identity = Identity::from_seed(v.array("xwing_seed"));
        let wrapped = WrappedKey {
            enc: v.array("enc"),
            sealed: v.array("sealed"),
        };
        assert!(wrap::unwrap_key(&identity, label::SLOT_WRAP, &v.bytes("aad"), &wrapped).is_err());
        assert!(Recipient::from_bytes(&v.bytes("recipient")).is_err());
    }
}
