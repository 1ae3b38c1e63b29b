//! A slot has one encoding, and yields the key that was wrapped or none.
//!
//! Input: file id and epoch to XOR (20 bytes), then edits of the slot.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zqlite_pq::epoch::FileId;
use zqlite_pq::slot::{SLOT_LEN, Slot};

mod fixture;

use fixture::{edit, identity, unsigned_file};

fuzz_target!(|data: &[u8]| {
    let Some((context, edits)) = data.split_first_chunk::<20>() else {
        return;
    };
    let file = unsigned_file();
    let keys = file.epochs.newest();
    let original = file.header.slots()[0].encode();
    let mut bytes = original.clone();
    edit(&mut bytes, edits);
    let array: &[u8; SLOT_LEN] = bytes.as_slice().try_into().expect("a slot's length");
    let Ok(slot) = Slot::decode(array) else {
        assert_ne!(bytes, original);
        return;
    };
    assert_eq!(slot.encode(), bytes);

    let mut id = *file.header.file_id().as_bytes();
    id.iter_mut().zip(context).for_each(|(id, x)| *id ^= x);
    let file_id = FileId::from_bytes(id);
    let change = u32::from_be_bytes([context[16], context[17], context[18], context[19]]);
    let epoch = keys.epoch() ^ change;
    let same_file = file_id == *file.header.file_id();
    let same = |range: core::ops::Range<usize>| bytes[range.clone()] == original[range];
    let same_kind = same(0..2);

    let unwrapped = slot.unwrap_key(&identity(), &file_id, epoch);
    assert_eq!(
        unwrapped.is_ok(),
        same_file && change == 0 && same_kind && same(8..1_176),
        "a slot opens as it was written, and only so"
    );
    if let Ok(key) = unwrapped {
        assert_eq!(key.expose(), keys.expose_epoch_key().expose());
    }
    if same_file && same(4..1_128) {
        assert!(slot.hint_fits(&file_id, &identity().recipient()));
    }
    let details = slot.open_details(keys, &file_id);
    assert_eq!(
        details.is_ok(),
        same_file && same_kind && same(4..8) && same(1_208..SLOT_LEN)
    );
    if let Ok(details) = details {
        assert_eq!(details.label, "laptop");
        assert_eq!(details.recipient, identity().recipient());
    }
});
