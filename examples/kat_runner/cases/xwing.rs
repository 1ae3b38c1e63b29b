//! X-Wing, all on the product.

use zqlite_pq::hazmat;
use zqlite_pq::{Identity, Recipient};

use super::{Answer, Case, Stop};

pub(super) fn xwing(case: &Case) -> Result<Answer, Stop> {
    let mut answer = Answer::default();
    let identity = match (case.optional("seed")?, case.optional("sk")?) {
        (None, None) => None,
        (Some(_), _) => Some(Identity::from_seed(case.array("seed")?)),
        (None, Some(_)) => Some(Identity::from_seed(case.array("sk")?)),
    };
    let recipient = match &identity {
        Some(identity) => {
            answer.compare(case, "sk", identity.expose_seed())?;
            identity.recipient()
        }
        None => Recipient::from_bytes(&case.bytes("pk")?).map_err(Stop::refused)?,
    };
    answer.compare(case, "pk", recipient.as_bytes())?;
    let read_again = Recipient::from_bytes(recipient.as_bytes()).map_err(Stop::refused)?;
    answer.check("pk (read again)", read_again == recipient);
    if case.optional("eseed")?.is_some() {
        let (enc, secret) =
            hazmat::xwing_encapsulate(&recipient, &case.array("eseed")?).map_err(Stop::refused)?;
        answer.compare(case, "ct", &enc)?;
        answer.compare(case, "ss", secret.expose())?;
    }
    if let (Some(identity), Some(enc)) = (identity, case.optional("ct")?) {
        let secret = hazmat::xwing_decapsulate(&identity, &enc).map_err(Stop::refused)?;
        answer.compare(case, "ss", secret.expose())?;
    }
    Ok(answer)
}
