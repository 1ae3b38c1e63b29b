//! ML-KEM-768, all on the product.

use sha2::{Digest, Sha256};
use zqlite_pq::hazmat;
use zqlite_pq::mlkem::{DecapsulationKey, EncapsulationKey};

use super::{Answer, Case, Stop};

pub(super) fn keygen(case: &Case) -> Result<Answer, Stop> {
    let key = key_from_d_z(case)?;
    let mut answer = Answer::default();
    answer.compare(case, "ek", &key.encapsulation_key().to_bytes())?;
    answer.compare(case, "dk", &hazmat::expanded_decapsulation_key(&key))?;
    Ok(answer)
}

pub(super) fn encaps(case: &Case) -> Result<Answer, Stop> {
    let key = EncapsulationKey::from_bytes(&case.bytes("ek")?).map_err(Stop::refused)?;
    case.require_one_of(&["m"])?;
    let (ciphertext, secret) = hazmat::encapsulate(&key, &case.array("m")?);
    let mut answer = Answer::default();
    answer.compare(case, "c", &ciphertext)?;
    answer.compare(case, "k", secret.expose())?;
    Ok(answer)
}

pub(super) fn decaps(case: &Case) -> Result<Answer, Stop> {
    let key = hazmat::decapsulation_key_from_expanded(&case.bytes("dk")?).map_err(Stop::refused)?;
    case.require_one_of(&["c"])?;
    let secret = key.decapsulate(&case.bytes("c")?).map_err(Stop::refused)?;
    let mut answer = Answer::default();
    answer.compare(case, "k", secret.expose())?;
    Ok(answer)
}

pub(super) fn seed_decaps(case: &Case) -> Result<Answer, Stop> {
    let key = DecapsulationKey::from_seed(&case.array("seed")?);
    let secret = key.decapsulate(&case.bytes("c")?).map_err(Stop::refused)?;
    let mut answer = Answer::default();
    answer.compare(case, "k", secret.expose())?;
    answer.compare(case, "ek", &key.encapsulation_key().to_bytes())?;
    Ok(answer)
}

pub(super) fn keycheck(case: &Case) -> Result<Answer, Stop> {
    let bytes = case.bytes("key")?;
    let written_again = match case.text("kind")? {
        Some("ek") => EncapsulationKey::from_bytes(&bytes)
            .map_err(Stop::refused)?
            .to_bytes()
            .to_vec(),
        Some("dk") => {
            let key = hazmat::decapsulation_key_from_expanded(&bytes).map_err(Stop::refused)?;
            hazmat::expanded_decapsulation_key(&key).to_vec()
        }
        other => return Err(Stop::Malformed(format!("unknown key kind {other:?}"))),
    };
    let mut answer = Answer::default();
    answer.check("key", written_again == bytes);
    Ok(answer)
}

pub(super) fn kat(case: &Case) -> Result<Answer, Stop> {
    let key = key_from_d_z(case)?;
    let ek = key.encapsulation_key();
    let (ciphertext, secret) = hazmat::encapsulate(&ek, &case.array("m")?);
    let mut answer = Answer::default();
    answer.compare(case, "ek_sha256", &Sha256::digest(ek.to_bytes()))?;
    answer.compare(
        case,
        "dk_sha256",
        &Sha256::digest(hazmat::expanded_decapsulation_key(&key)),
    )?;
    answer.compare(case, "c_sha256", &Sha256::digest(ciphertext))?;
    answer.compare(case, "k", secret.expose())?;
    let opened = key.decapsulate(&ciphertext).map_err(Stop::refused)?;
    answer.check("k (decapsulated)", opened.expose() == secret.expose());
    if let Some(other) = case.optional("c_n")? {
        let rejected = key.decapsulate(&other).map_err(Stop::refused)?;
        answer.compare(case, "k_n", rejected.expose())?;
    }
    Ok(answer)
}

fn key_from_d_z(case: &Case) -> Result<DecapsulationKey, Stop> {
    let (d, z) = (case.array::<32>("d")?, case.array::<32>("z")?);
    let mut seed = [0; 64];
    seed[..32].copy_from_slice(&d);
    seed[32..].copy_from_slice(&z);
    Ok(DecapsulationKey::from_seed(&seed))
}
