//! AES-256-GCM, HKDF and X25519, all on the product.

use zqlite_pq::{aead, hazmat};

use super::{Answer, Case, Stop};

pub(super) fn aes256gcm(case: &Case) -> Result<Answer, Stop> {
    let key = aead::Key::new(&case.array("key")?);
    let (iv, tag) = (case.array("iv")?, case.array("tag")?);
    let (aad, ciphertext) = (case.bytes("aad")?, case.bytes("ct")?);
    let mut opened = ciphertext.clone();
    key.open_in_place(&iv, &aad, &mut opened, &tag)
        .map_err(Stop::refused)?;
    let mut answer = Answer::default();
    // The tag verifies, whether or not the plaintext is given.
    answer.check("tag", true);
    answer.compare(case, "pt", &opened)?;
    let sealed_tag = key.seal_in_place(&iv, &aad, &mut opened);
    answer.check("ct (sealed again)", opened == ciphertext);
    answer.check("tag (sealed again)", sealed_tag == tag);
    Ok(answer)
}

pub(super) fn hkdf(case: &Case) -> Result<Answer, Stop> {
    let hash = match case.text("hash")? {
        Some("sha256" | "SHA-256" | "SHA256") => hazmat::HkdfHash::Sha256,
        Some("sha384" | "SHA-384" | "SHA384") => hazmat::HkdfHash::Sha384,
        Some("sha512" | "SHA-512" | "SHA512") => hazmat::HkdfHash::Sha512,
        other => return Err(Stop::Malformed(format!("unknown hash {other:?}"))),
    };
    let too_long = || Stop::refused("len is above 255 hash lengths");
    let len = case.len("len")?;
    let (salt, ikm, info) = (case.bytes("salt")?, case.bytes("ikm")?, case.bytes("info")?);
    let output = hazmat::hkdf(hash, &salt, &ikm, &info, len).ok_or_else(too_long)?;
    let mut answer = Answer::default();
    answer.compare(case, "prk", &output.prk)?;
    answer.compare(case, "okm", &output.okm)?;
    Ok(answer)
}

pub(super) fn x25519(case: &Case) -> Result<Answer, Stop> {
    let shared = hazmat::x25519(&case.array("sk")?, &case.array("pk")?);
    let must_refuse = case
        .optional("shared")?
        .is_some_and(|shared| shared == [0; 32]);
    let mut answer = Answer::default();
    match shared {
        // The rule of the format: an all-zero secret is refused, whatever the case's result says.
        None if must_refuse && case.text("result")? != Some("invalid") => {
            answer.check("shared", true);
        }
        None => return Err(Stop::refused("the shared secret is all zero")),
        Some(shared) => answer.compare(case, "shared", &shared)?,
    }
    Ok(answer)
}
