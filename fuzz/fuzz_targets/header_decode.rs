//! A header copy has one encoding, and only the copy that was written opens.
//!
//! Input: mode, then raw bytes (mode 0) or edits of a signed (1) or unsigned (2) header's copy.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zqlite_pq::header::{
    COPY_LEN, CopyState, Header, HeaderOpenError, MAC_LEN, inspect, open, reopen, stamp,
};

mod fixture;

use fixture::{File, edit, signed_file, unsigned_file};

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else {
        return;
    };
    match mode % 3 {
        0 => raw(rest),
        1 => edited(signed_file(), rest),
        _ => edited(unsigned_file(), rest),
    }
});

fn raw(bytes: &[u8]) {
    let file = unsigned_file();
    let mut copy = bytes.to_vec();
    one_encoding(&copy);
    copy.resize(COPY_LEN, 0);
    one_encoding(&copy);
    assert!(reopen(&copy, bytes, &file.epochs).is_err());
    assert!(open(&copy, bytes, &file.keyring).is_err());
    assert_eq!(
        open(bytes, &file.copy, &file.keyring)
            .expect("copy B is good")
            .header,
        file.header
    );
}

fn edited(file: &File, edits: &[u8]) {
    let mut copy = file.copy.clone();
    edit(&mut copy, edits);
    one_encoding(&copy);
    let unchanged = copy == file.copy;
    assert_eq!(reopen(&copy, &[], &file.epochs).is_ok(), unchanged);
    assert_eq!(open(&copy, &copy, &file.keyring).is_ok(), unchanged);
    for (a, b, at) in [(&copy, &file.copy, 0), (&file.copy, &copy, 1)] {
        let opened = match reopen(a, b, &file.epochs) {
            Err(HeaderOpenError::UnknownEpoch { .. }) => open(a, b, &file.keyring),
            opened => opened,
        };
        let opened = opened.expect("one copy is good");
        assert_eq!(opened.header, file.header);
        assert_eq!(opened.copies[at] == CopyState::Good, unchanged);
        assert_eq!(opened.copies[1 - at], CopyState::Good);
    }
    by_a_key_holder(file, &copy);
}

/// With a right MAC under the changed bytes, what opens is what was written.
fn by_a_key_holder(file: &File, copy: &[u8]) {
    let Ok(header) = Header::decode(copy) else {
        return;
    };
    let keys = file.epochs.newest();
    if header.commitment() != keys.commitment() || header.epoch() != keys.epoch() {
        return;
    }
    let copy = header.encode(keys);
    if let Ok(opened) = reopen(&copy, &copy, &file.epochs) {
        assert_eq!(opened.header, header);
    } else {
        assert!(header.file_id() != file.header.file_id());
    }
    if let Ok(opened) = open(&copy, &copy, &file.keyring) {
        assert_eq!(opened.header, header);
        assert_eq!(opened.epochs.newest().commitment(), keys.commitment());
    }
}

fn one_encoding(copy: &[u8]) {
    let inspection = inspect(copy, copy);
    assert!(inspection.identical);
    let Ok(header) = Header::decode(copy) else {
        assert!(inspection.header().is_none());
        return;
    };
    assert_eq!(header.authenticated_bytes(), copy[..COPY_LEN - MAC_LEN]);
    assert_eq!(stamp(copy), Some(header.stamp()));
    assert_eq!(inspection.header(), Some(&header));
}
