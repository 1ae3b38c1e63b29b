//! What `PRAGMA zqlite_status` says, as one JSON text.

use core::ffi::c_int;
use core::fmt::Write;

use zqlite_pq::slot::SlotKind;

use super::sealed::Sealed;

/// The first SQLite without the corruption of a WAL that is reset while another process checkpoints.
const WAL_RESET_FIXED: c_int = 3_051_003;

/// What is wrong with the SQLite of a host, if it is old.
pub(super) fn host_warning(version: c_int) -> Option<&'static str> {
    (version < WAL_RESET_FIXED).then_some(
        "SQLite before 3.51.3 can corrupt a database in WAL mode when two connections write and checkpoint at the \
         same moment (the WAL-reset bug), unless the host's vendor has repaired it; update SQLite, or use a \
         rollback journal",
    )
}

/// The status of one open file, for SQLite `sqlite` (text and number).
pub(super) fn json(sealed: &Sealed, sqlite: (&str, c_int)) -> String {
    let mut out = String::from("{\"zqlite\":");
    text(&mut out, env!("CARGO_PKG_VERSION"));
    out.push_str(",\"sqlite\":");
    text(&mut out, sqlite.0);
    out.push_str(",\"warning\":");
    optional_text(&mut out, host_warning(sqlite.1));
    let Some(opened) = sealed.opened() else {
        // Nothing has been written yet.
        out.push_str(",\"file_id\":null}");
        return out;
    };
    let header = &opened.header;
    out.push_str(",\"file_id\":");
    text(&mut out, &header.file_id().to_string());
    // Writing to a String does not fail.
    let _ok = write!(
        out,
        ",\"page_size\":{},\"epoch\":{},\"older_epochs\":{},\"generation\":{},\"revision\":{},\"slots\":[",
        header.page_size().get(),
        header.epoch(),
        header.older_epochs().len(),
        header.generation(),
        header.revision()
    );
    for (at, (slot, details)) in header.slots().iter().zip(opened.slot_details()).enumerate() {
        out.push_str(if at == 0 { "{\"kind\":" } else { ",{\"kind\":" });
        text(
            &mut out,
            match slot.kind() {
                SlotKind::Recipient => "recipient",
                SlotKind::Passphrase { .. } => "passphrase",
                SlotKind::RawKey => "raw key",
                _ => "unknown",
            },
        );
        out.push_str(",\"label\":");
        optional_text(&mut out, details.ok().as_ref().map(|d| d.label.as_str()));
        out.push('}');
    }
    out.push_str("],\"signed_by\":");
    let signer = header.signer().map(ToString::to_string);
    optional_text(&mut out, signer.as_deref());
    out.push('}');
    out
}

fn optional_text(out: &mut String, value: Option<&str>) {
    match value {
        Some(value) => text(out, value),
        None => out.push_str("null"),
    }
}

/// A JSON string (RFC 8259, section 7).
fn text(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c < ' ' => {
                let _ok = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_label_becomes_a_json_string() {
        let mut out = String::new();
        text(&mut out, "a\"b\\c\n\u{1}é");
        assert_eq!(out, "\"a\\\"b\\\\c\\u000a\\u0001é\"");
    }

    #[test]
    fn hosts_before_3_51_3_are_warned() {
        assert!(host_warning(3_051_002).is_some());
        assert!(host_warning(3_040_001).is_some());
        assert!(host_warning(3_051_003).is_none());
    }
}
