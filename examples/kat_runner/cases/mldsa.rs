//! ML-DSA-65: key generation and verification of pure signatures with an empty context on the product;
//! contexts, the internal interface, external mu, expanded keys and a fixed `rnd` on `ml-dsa`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ml_dsa::{B32, EncodedVerifyingKey, ExpandedSigningKey, ExpandedSigningKeyBytes, MlDsa65};
use sha2::{Digest, Sha256};
use zqlite_pq::hazmat;
use zqlite_pq::mldsa::{SigningKey, VerifyingKey};

use super::{Answer, Case, SecondImplementation, Stop};

const EXPANDED_LEN: usize = 4032;
/// Where s1 and s2 stand in an expanded key (FIPS 204, Algorithm 24): after rho, K and tr.
const S1_S2: core::ops::Range<usize> = 128..128 + (5 + 6) * 128;

pub(super) fn keygen(case: &Case) -> Result<Answer, Stop> {
    let key = SigningKey::from_seed(case.array("seed")?);
    let mut answer = Answer::default();
    answer.compare(case, "pk", key.verifying_key().as_bytes())?;
    answer.compare(case, "sk", &expanded(&key)?)?;
    Ok(answer)
}

pub(super) fn kat(case: &Case, second: &mut SecondImplementation) -> Result<Answer, Stop> {
    let key = SigningKey::from_seed(case.array("seed")?);
    let mut answer = siggen(case, second)?;
    answer.compare(
        case,
        "pk_sha256",
        &Sha256::digest(key.verifying_key().as_bytes()),
    )?;
    answer.compare(case, "sk_sha256", &Sha256::digest(expanded(&key)?))?;
    Ok(answer)
}

pub(super) fn siggen(case: &Case, second: &mut SecondImplementation) -> Result<Answer, Stop> {
    let request = Request::read(case)?;
    let seed = case
        .optional("seed")?
        .map(|_| case.array::<32>("seed"))
        .transpose()?;
    let given_sk = case.optional("sk")?;
    let product_key = seed.map(SigningKey::from_seed);
    let (sk, reason) = match (&product_key, given_sk) {
        (None, None) => return Err(Stop::refused("neither seed nor sk")),
        (None, Some(sk)) => (sk, "expanded keys"),
        (Some(key), None) => (expanded(key)?, request.reason().unwrap_or("fixed rnd")),
        (Some(key), Some(sk)) => {
            if expanded(key)? != sk {
                return Err(Stop::refused("sk is not the expansion of seed"));
            }
            (sk, request.reason().unwrap_or("fixed rnd"))
        }
    };
    let sk = expanded_key(&sk)?;
    let mut answer = Answer::default();

    let rnd = match case.optional("rnd")? {
        Some(_) => Some(case.array::<32>("rnd")?),
        None if case.flag("deterministic") == Some(false) => None,
        None => Some([0; 32]),
    };
    if let Some(rnd) = rnd {
        second.ran(reason);
        answer.compare(case, "sig", &request.sign(&sk, &rnd)?)?;
    }
    let derived_pk = || {
        product_key
            .as_ref()
            .map(|key| key.verifying_key().as_bytes().to_vec())
    };
    let pk = case.optional("pk")?.or_else(derived_pk);
    if let (Some(pk), Some(sig)) = (pk, case.optional("sig")?) {
        answer.check("sig (verified)", request.verify(&pk, &sig).is_ok());
    }
    if let Some(key) = product_key {
        answer.compare(case, "pk", key.verifying_key().as_bytes())?;
        if request.reason().is_none() {
            let hedged = hazmat::sign_unlabelled(&key, &request.message).map_err(Stop::refused)?;
            let verified =
                hazmat::verify_unlabelled(key.verifying_key(), &request.message, &hedged);
            answer.check("hedged signature", verified.is_ok());
        }
    }
    Ok(answer)
}

pub(super) fn sigver(case: &Case, second: &mut SecondImplementation) -> Result<Answer, Stop> {
    let request = Request::read(case)?;
    if let Some(reason) = request.reason() {
        second.ran(reason);
    }
    request.verify(&case.bytes("pk")?, &case.bytes("sig")?)?;
    let mut answer = Answer::default();
    answer.check("sig", true);
    Ok(answer)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Interface {
    /// ML-DSA.Sign and ML-DSA.Verify with a context (FIPS 204, Algorithms 2 and 3).
    Pure,
    /// ML-DSA.Sign_internal and ML-DSA.Verify_internal: the message is M' (Algorithms 7 and 8).
    Internal,
    /// The message is the 64-byte mu of Algorithm 7, line 6.
    Mu,
}

/// What is signed.
struct Request {
    interface: Interface,
    message: Vec<u8>,
    context: Vec<u8>,
}

impl Request {
    fn read(case: &Case) -> Result<Self, Stop> {
        let interface = match case.text("iface")? {
            None | Some("pure") => Interface::Pure,
            Some("internal") => Interface::Internal,
            Some("mu") => Interface::Mu,
            Some(other) => return Err(Stop::Malformed(format!("unknown iface `{other}`"))),
        };
        let context = if interface == Interface::Pure {
            case.bytes("ctx")?
        } else {
            Vec::new()
        };
        if context.len() > 255 {
            return Err(Stop::refused(format!(
                "a context of {} bytes",
                context.len()
            )));
        }
        Ok(Self {
            interface,
            message: case.bytes("msg")?,
            context,
        })
    }

    /// Why the product cannot express it; `None` when it can.
    fn reason(&self) -> Option<&'static str> {
        match self.interface {
            Interface::Internal => Some("internal interface"),
            Interface::Mu => Some("external mu"),
            Interface::Pure if !self.context.is_empty() => Some("contexts"),
            Interface::Pure => None,
        }
    }

    /// M' of FIPS 204, Algorithm 2, line 10.
    fn formatted(&self) -> Vec<u8> {
        match self.interface {
            Interface::Pure => {
                let context_len = u8::try_from(self.context.len()).unwrap_or(u8::MAX);
                [&[0, context_len], self.context.as_slice(), &self.message].concat()
            }
            Interface::Internal | Interface::Mu => self.message.clone(),
        }
    }

    fn mu(&self) -> Result<[u8; 64], Stop> {
        let found = self.message.len();
        <[u8; 64]>::try_from(self.message.as_slice())
            .map_err(|_| Stop::refused(format!("mu has {found} bytes, not 64")))
    }

    fn sign(&self, sk: &ExpandedSigningKey<MlDsa65>, rnd: &[u8; 32]) -> Result<Vec<u8>, Stop> {
        let signature = if self.interface == Interface::Mu {
            let mu = self.mu()?;
            guard(|| sk.sign_mu_randomized((&mu).into(), &mut Once(*rnd)))?
                .map_err(Stop::refused)?
        } else {
            guard(|| sk.sign_internal(&[&self.formatted()], &B32::from(*rnd)))?
        };
        Ok(signature.encode().to_vec())
    }

    fn verify(&self, pk: &[u8], signature: &[u8]) -> Result<(), Stop> {
        let key = VerifyingKey::from_bytes(pk).map_err(Stop::refused)?;
        if self.reason().is_none() {
            return hazmat::verify_unlabelled(&key, &self.message, signature)
                .map_err(Stop::refused);
        }
        let encoded = EncodedVerifyingKey::<MlDsa65>::from(*key.as_bytes());
        let key = ml_dsa::VerifyingKey::<MlDsa65>::decode(&encoded);
        let signature = ml_dsa::Signature::<MlDsa65>::try_from(signature)
            .map_err(|_| Stop::refused("the signature does not decode"))?;
        let verifies = match self.interface {
            Interface::Pure => key.verify_with_context(&self.message, &self.context, &signature),
            Interface::Internal => key.verify_internal(&self.message, &signature),
            Interface::Mu => key.verify_mu((&self.mu()?).into(), &signature),
        };
        if verifies {
            Ok(())
        } else {
            Err(Stop::refused("the signature does not verify"))
        }
    }
}

fn expanded(key: &SigningKey) -> Result<Vec<u8>, Stop> {
    hazmat::expanded_signing_key(key)
        .map(|sk| sk.to_vec())
        .map_err(Stop::refused)
}

/// Reads an expanded key with the range check of s1 and s2, without which `ml-dsa` panics.
fn expanded_key(bytes: &[u8]) -> Result<ExpandedSigningKey<MlDsa65>, Stop> {
    let found = bytes.len();
    let encoded = ExpandedSigningKeyBytes::<MlDsa65>::try_from(bytes)
        .map_err(|_| Stop::refused(format!("`sk` has {found} bytes, not {EXPANDED_LEN}")))?;
    // Each coefficient is eta minus a 4-bit number, and eta = 4 permits 0 to 8.
    if bytes[S1_S2]
        .iter()
        .any(|byte| byte & 15 > 8 || byte >> 4 > 8)
    {
        return Err(Stop::refused("s1 or s2 is out of range"));
    }
    #[expect(deprecated, reason = "known answers are given in the expanded form")]
    guard(|| ExpandedSigningKey::from_expanded(&encoded))
}

/// A backend that panics has refused its input.
fn guard<T>(run: impl FnOnce() -> T) -> Result<T, Stop> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Stop::refused("the backend panicked"))
}

/// A generator that yields the 32 bytes of `rnd`.
struct Once([u8; 32]);

impl rand_core::TryRng for Once {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        out.copy_from_slice(&self.0[..out.len()]);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Once {}
