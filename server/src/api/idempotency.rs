//! `Idempotency-Key`: a repeated call that creates is answered as the first one was.

use std::{collections::HashSet, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hearback_core::{error::FieldError, store::Idempotency};
use parking_lot::Mutex;
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
};
use uuid::Uuid;

use super::problem::{Problem, ProblemKind};
use crate::digest;

const NAME: &str = "Idempotency-Key";
const KEY_MAX: usize = 255;

/// The header `Idempotency-Key`, if there is one. The parameter is to be named: `#[oai(name = "Idempotency-Key")]`.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(Option<String>);

impl<'a> ApiExtractor<'a> for IdempotencyKey {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = String;
    type ParamRawType = String;

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(MetaSchemaRef::Inline(Box::new(MetaSchema {
            min_length: Some(1),
            max_length: Some(KEY_MAX),
            pattern: Some("^[!-~]+$".into()),
            ..MetaSchema::new("string")
        })))
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<String>,
    ) -> poem::Result<Self> {
        let mut values = request.headers().get_all(NAME).iter();
        let (first, more) = (values.next(), values.next());
        let Some(value) = first else { return Ok(Self(None)) };
        let visible =
            |value: &&[u8]| !value.is_empty() && value.len() <= KEY_MAX && value.iter().all(u8::is_ascii_graphic);
        let key = Some(value.as_bytes()).filter(visible).filter(|_| more.is_none());
        let key = key.ok_or_else(|| {
            let fault = FieldError::new(NAME, "expected one header with 1 to 255 visible ASCII characters");
            Problem::malformed(format!("The header {NAME} cannot be read.")).with_errors(vec![fault])
        })?;
        Ok(Self(Some(String::from_utf8_lossy(key).into_owned())))
    }
}

/// The keys whose first call is still running here.
#[derive(Debug, Default)]
pub struct Running(Arc<Mutex<HashSet<[u8; 32]>>>);

/// A call with a key; while it lives, another call with the same key is told to wait.
#[derive(Debug)]
pub struct Claim {
    idempotency: Idempotency,
    running: Arc<Mutex<HashSet<[u8; 32]>>>,
}

impl Running {
    /// Claims the key for one call of `caller` (the id of a service token or an account) to `path`. `None` without a key.
    ///
    /// # Errors
    ///
    /// `idempotency_running` while the first call has not answered.
    pub fn claim(&self, key: &IdempotencyKey, caller: Uuid, path: &str, body: &[u8]) -> Result<Option<Claim>, Problem> {
        let Some(key) = &key.0 else { return Ok(None) };
        let key = digest::sha256(format!("{caller}|{path}|{key}").as_bytes());
        if !self.0.lock().insert(key) {
            let detail = "The first call with this Idempotency-Key has not answered yet.";
            return Err(Problem::new(ProblemKind::IdempotencyRunning, detail));
        }
        let idempotency = Idempotency { key, fingerprint: digest::sha256(body) };
        Ok(Some(Claim { idempotency, running: self.0.clone() }))
    }
}

impl Claim {
    /// What the store knows the call by.
    #[must_use]
    pub const fn idempotency(&self) -> Idempotency {
        self.idempotency
    }

    /// The key as the id of an inbound event, by which a repeated answer is known.
    #[must_use]
    pub fn event(&self) -> String {
        format!("key:{}", URL_SAFE_NO_PAD.encode(self.idempotency.key))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.running.lock().remove(&self.idempotency.key);
    }
}

/// The problem of a key that was used with another body.
#[must_use]
pub fn mismatch() -> Problem {
    Problem::new(ProblemKind::IdempotencyMismatch, "This Idempotency-Key was used with another body.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_claimed_by_one_call_at_a_time_and_by_each_caller_for_itself() {
        let (running, key) = (Running::default(), IdempotencyKey(Some("k".into())));
        let claim = |caller, path, body: &[u8]| running.claim(&key, Uuid::from_u128(caller), path, body);
        let first = claim(1, "/api/tokens", b"a").unwrap().unwrap();
        assert_eq!(claim(1, "/api/tokens", b"a").unwrap_err().kind(), ProblemKind::IdempotencyRunning);
        assert!(claim(2, "/api/tokens", b"a").is_ok());
        assert!(claim(1, "/api/feedback", b"a").is_ok());
        let (key, fingerprint) = (first.idempotency().key, first.idempotency().fingerprint);
        drop(first);
        let again = claim(1, "/api/tokens", b"b").unwrap().unwrap().idempotency();
        assert!(again.key == key && again.fingerprint != fingerprint);
    }
}
