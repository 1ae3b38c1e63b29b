use super::*;
use crate::header::tests::TestRng;

struct Fixture {
    identity: Identity,
    file_id: FileId,
    keys: EpochKeys,
    slot: Slot,
}

fn fixture(kind: SlotKind, label: &str) -> Fixture {
    let mut rng = TestRng(1);
    let identity = Identity::generate(&mut rng);
    let file_id = FileId::generate(&mut rng);
    let keys = EpochKeys::derive(&file_id, EpochKey::generate(&mut rng), 3);
    let label = SlotLabel::new(label.to_owned()).unwrap();
    let slot = Slot::seal(
        kind,
        &identity.recipient(),
        &label,
        &file_id,
        &keys,
        &mut rng,
    );
    Fixture {
        identity,
        file_id,
        keys,
        slot,
    }
}

#[test]
fn a_slot_reads_back_and_opens() {
    let params = Argon2Params::DEFAULT;
    let kinds = [
        SlotKind::Recipient,
        SlotKind::RawKey,
        SlotKind::Passphrase {
            salt: [7; 16],
            params,
        },
    ];
    for kind in kinds {
        let f = fixture(kind, "laptop");
        let bytes = f.slot.encode();
        let read = Slot::decode(bytes.as_slice().try_into().unwrap()).unwrap();
        assert_eq!(read, f.slot);
        assert_eq!(read.kind(), kind);
        assert!(read.hint_fits(&f.file_id, &f.identity.recipient()));
        let key = read.unwrap_key(&f.identity, &f.file_id, 3).unwrap();
        assert_eq!(key.expose(), f.keys.expose_epoch_key().expose());
        let details = read.open_details(&f.keys, &f.file_id).unwrap();
        assert_eq!(details.label, "laptop");
        assert_eq!(details.recipient, f.identity.recipient());
    }
}

#[test]
fn fields_stand_where_the_format_says() {
    let salt = *b"0123456789abcdef";
    let params = Argon2Params {
        memory_kib: 19_456,
        passes: 3,
        lanes: 4,
    };
    let f = fixture(SlotKind::Passphrase { salt, params }, "x");
    let bytes = f.slot.encode();
    assert_eq!(bytes.len(), SLOT_LEN);
    assert_eq!(bytes[..4], [0, 2, 0, 0]);
    assert_eq!(bytes[4..8], f.slot.hint());
    assert_eq!(bytes[8..1_128], f.slot.wrapped.enc);
    assert_eq!(bytes[1_128..1_176], f.slot.wrapped.sealed);
    assert_eq!(bytes[1_176..1_192], salt);
    assert_eq!(
        bytes[1_192..1_208],
        [0, 0, 0x4c, 0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0]
    );
    assert_eq!(bytes[1_208..1_232], f.slot.details_nonce);
    let digest = Sha256::new()
        .chain_update(b"zqlite/v1/slot/hint\0")
        .chain_update(f.file_id.as_bytes())
        .chain_update(&bytes[8..1_128])
        .chain_update(f.identity.recipient().as_bytes())
        .finalize();
    assert_eq!(bytes[4..8], digest[..4]);
    let mut details: [u8; 1_280] = bytes[1_232..2_512].try_into().unwrap();
    let aad = [
        b"zqlite/v1/table/slot\0".as_slice(),
        f.file_id.as_bytes(),
        &[0, 0, 0, 3, 0, 2],
        &bytes[4..8],
    ]
    .concat();
    let tag = bytes[2_512..].try_into().unwrap();
    let nonce = bytes[1_208..1_232].try_into().unwrap();
    f.keys
        .table_key()
        .open_in_place(nonce, &aad, &mut details, tag)
        .unwrap();
    assert_eq!(details[1_216..1_219], [1, b'x', 0]);
}

#[test]
fn a_slot_opens_only_for_its_key_file_epoch_and_kind() {
    let f = fixture(SlotKind::Recipient, "");
    let other_file = FileId::from_bytes([1; 16]);
    let other_identity = Identity::from_seed([1; 32]);
    assert!(f.slot.unwrap_key(&other_identity, &f.file_id, 3).is_err());
    assert!(f.slot.unwrap_key(&f.identity, &other_file, 3).is_err());
    assert!(f.slot.unwrap_key(&f.identity, &f.file_id, 2).is_err());
    let other_kind = Slot {
        kind: SlotKind::RawKey,
        ..f.slot.clone()
    };
    assert!(other_kind.unwrap_key(&f.identity, &f.file_id, 3).is_err());
    assert!(!f.slot.hint_fits(&other_file, &f.identity.recipient()));
    assert!(!f.slot.hint_fits(&f.file_id, &other_identity.recipient()));
}

#[test]
fn details_open_only_for_their_slot_file_and_epoch() {
    let f = fixture(SlotKind::Recipient, "mine");
    let other_file = FileId::from_bytes([1; 16]);
    assert!(f.slot.open_details(&f.keys, &other_file).is_err());
    let key = EpochKey::from_bytes(*f.keys.expose_epoch_key().expose());
    let other_epoch = EpochKeys::derive(&f.file_id, key, 4);
    assert!(f.slot.open_details(&other_epoch, &f.file_id).is_err());
    let other_kind = Slot {
        kind: SlotKind::RawKey,
        ..f.slot.clone()
    };
    assert!(other_kind.open_details(&f.keys, &f.file_id).is_err());
    let other_hint = Slot {
        hint: [0; 4],
        ..f.slot.clone()
    };
    assert!(other_hint.open_details(&f.keys, &f.file_id).is_err());
}

#[test]
fn a_label_has_one_encoding() {
    for text in ["", "laptop", &"é".repeat(31), &"x".repeat(63)] {
        let label = SlotLabel::new(text.to_owned()).unwrap();
        assert_eq!(SlotLabel::from_field(&label.field()).unwrap().0, text);
    }
    assert!(SlotLabel::new("x".repeat(64)).is_none());
    let field = |start: &[u8]| {
        let mut field = [0; LABEL_FIELD_LEN];
        field[..start.len()].copy_from_slice(start);
        field
    };
    assert!(
        SlotLabel::from_field(&field(&[1, b'a', b'b'])).is_none(),
        "bytes after the label"
    );
    assert!(
        SlotLabel::from_field(&field(&[64])).is_none(),
        "longer than the field"
    );
    assert!(
        SlotLabel::from_field(&field(&[2, 0xc3, 0x28])).is_none(),
        "no UTF-8"
    );
}

#[test]
fn a_slot_prints_nothing_but_its_kind() {
    let f = fixture(SlotKind::RawKey, "");
    assert_eq!(format!("{:?}", f.slot), "Slot { kind: RawKey, .. }");
}
