//! Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, in both directions with the same secret.

use std::{fmt, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hearback_core::{
    Timestamp,
    secret::{ExposeSecret, Secret},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use subtle::ConstantTimeEq;

/// The header with the id of what is told; the same whenever the same is told again.
pub const ID: HeaderName = HeaderName::from_static("webhook-id");
/// The header with the time of this call, in whole seconds since 1970.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// The header with the signatures, separated by spaces.
pub const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// How far a timestamp may lie from the clock, both ways.
pub const WINDOW: Duration = Duration::from_mins(5);

const PREFIX: &str = "whsec_";
const ID_MAX: usize = 255;
/// The most signatures in one header. A sender that changes its secret sends two.
const SIGNATURES_MAX: usize = 10;

/// The key that a secret stands for.
pub struct Key {
    key: hmac::Key,
    /// The secret as it was written, to keep it out of texts.
    secret: Secret,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// Why a call is not believed. Its message is a sentence for the plug-in's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// A header is missing, stands twice or is malformed.
    #[error("The headers webhook-id, webhook-timestamp and webhook-signature must each be there once.")]
    Headers,
    /// The id is not one.
    #[error("webhook-id must have 1 to 255 visible ASCII characters, none of them a dot.")]
    Id,
    /// The time is too far from the clock.
    #[error("webhook-timestamp must be whole seconds since 1970, at most 5 minutes from the hub's clock.")]
    Time,
    /// No signature is right.
    #[error("No v1 signature in webhook-signature is right for this id, timestamp, body and secret.")]
    Signature,
    /// There are more signatures than anybody needs.
    #[error("webhook-signature must hold at most {SIGNATURES_MAX} signatures.")]
    Signatures,
}

impl Key {
    /// Reads a secret: `whsec_` and the base64 of 24 to 64 bytes. `None` when it is none.
    #[must_use]
    pub fn parse(secret: &Secret) -> Option<Self> {
        let encoded = secret.expose_secret().strip_prefix(PREFIX)?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let key = (24..=64).contains(&bytes.len()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))?;
        Some(Self { key, secret: secret.clone() })
    }

    /// The value of `webhook-signature` for a body.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let tag = hmac::sign(&self.key, &signed(id, timestamp, body));
        format!("v1,{}", STANDARD.encode(tag))
    }

    /// The headers that sign a body; the timestamp is in whole seconds since 1970.
    #[must_use]
    pub fn headers(&self, id: &str, timestamp: i64, body: &[u8]) -> HeaderMap {
        let signature = self.sign(id, timestamp, body);
        let pairs = [(ID, id.to_owned()), (TIMESTAMP, timestamp.to_string()), (SIGNATURE, signature)];
        pairs.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?))).collect()
    }

    /// Verifies a call, in constant time, and returns its id.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<String, Distrust> {
        let one = |name: &HeaderName| {
            let mut values = headers.get_all(name).iter();
            let value = values.next().and_then(|value| value.to_str().ok()).ok_or(Distrust::Headers)?;
            if values.next().is_some() { Err(Distrust::Headers) } else { Ok(value) }
        };
        let (id, time, signatures) = (one(&ID)?, one(&TIMESTAMP)?, one(&SIGNATURE)?);
        if id.is_empty() || id.len() > ID_MAX || id.bytes().any(|byte| byte == b'.' || !byte.is_ascii_graphic()) {
            return Err(Distrust::Id);
        }
        if time.is_empty() || time.len() > 12 || !time.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Distrust::Time);
        }
        let timestamp: i64 = time.parse().map_err(|_| Distrust::Time)?;
        if seconds(now).abs_diff(timestamp) > WINDOW.as_secs() {
            return Err(Distrust::Time);
        }
        if signatures.split(' ').nth(SIGNATURES_MAX).is_some() {
            return Err(Distrust::Signatures);
        }
        // The header's own digits are signed: a leading zero is part of them. The body may be long and its sender is not
        // known yet: it is gone through once, however many signatures there are.
        let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
        let expected = hmac::sign(&self.key, &signed);
        let right = signatures
            .split(' ')
            .filter_map(|signature| signature.strip_prefix("v1,"))
            .filter_map(|encoded| STANDARD.decode(encoded).ok())
            .any(|tag| expected.as_ref().ct_eq(&tag).into());
        if right { Ok(id.to_owned()) } else { Err(Distrust::Signature) }
    }

    /// The text without this secret in it.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let secret = self.secret.expose_secret();
        text.replace(secret, "…").replace(secret.trim_start_matches(PREFIX), "…")
    }
}

fn signed(id: &str, timestamp: i64, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body].concat()
}

/// A moment as the timestamp header has it.
#[must_use]
pub const fn seconds(moment: Timestamp) -> i64 {
    moment.micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn key() -> Key {
        Key::parse(&Secret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap()
    }

    fn headers(id: &'static str, time: &'static str, signature: &'static str) -> HeaderMap {
        HeaderMap::from_iter(
            [(ID, id), (TIMESTAMP, time), (SIGNATURE, signature)].map(|(n, v)| (n, v.parse().unwrap())),
        )
    }

    #[test]
    fn the_published_vector_is_met_byte_for_byte() {
        let signature = key().sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, BODY);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_call_is_believed_by_any_v1_signature_inside_five_minutes_only() {
        const GOOD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let (id, time) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
        let at = |shift: i64| Timestamp::from_micros((1_614_265_330 + shift) * 1_000_000);
        let verify = |id, time, signature, shift| key().verify(&headers(id, time, signature), BODY, at(shift));
        for shift in [-300, 0, 300] {
            assert_eq!(verify(id, time, GOOD, shift).unwrap(), id);
        }
        assert_eq!(verify(id, time, "v1,AAAA v2,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", 0).unwrap(), id);
        assert_eq!(verify(id, time, GOOD, 301), Err(Distrust::Time));
        assert_eq!(verify(id, time, GOOD, -301), Err(Distrust::Time));
        assert_eq!(verify("msg_other", time, GOOD, 0), Err(Distrust::Signature));
        assert_eq!(verify(id, "1614265331", GOOD, 0), Err(Distrust::Signature));
        assert_eq!(verify(id, time, "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", 0), Err(Distrust::Signature));
        for bad in ["", "-1614265330", "1614265330.0", "1e9", "99999999999999999999"] {
            assert_eq!(verify(id, bad, GOOD, 0), Err(Distrust::Time), "{bad}");
        }
        assert_eq!(verify("msg.1", time, GOOD, 0), Err(Distrust::Id));
        let mut twice = headers(id, time, GOOD);
        twice.append(ID, "msg_other".parse().unwrap());
        assert_eq!(key().verify(&twice, BODY, at(0)), Err(Distrust::Headers));
        assert_eq!(key().verify(&HeaderMap::new(), BODY, at(0)), Err(Distrust::Headers));
    }

    #[test]
    fn ten_signatures_are_looked_at_and_eleven_refused() {
        const GOOD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let (id, time) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
        let verify = |signatures: &str| {
            let mut headers = headers(id, time, GOOD);
            headers.insert(SIGNATURE, signatures.parse().unwrap());
            key().verify(&headers, BODY, Timestamp::from_micros(1_614_265_330 * 1_000_000))
        };
        for wrong in ["v1,AAAA", "v2,x", "", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OEAAA=="] {
            let wrongs = |count| vec![wrong; count].join(" ");
            assert_eq!(verify(&format!("{} {GOOD}", wrongs(9))).unwrap(), id, "{wrong}");
            assert_eq!(verify(&wrongs(10)), Err(Distrust::Signature), "{wrong}");
            assert_eq!(verify(&format!("{GOOD} {}", wrongs(10))), Err(Distrust::Signatures), "{wrong}");
        }
        // What anybody could send: it must not cost more than one look at the body.
        assert_eq!(verify(&"v1,AAAA ".repeat(90_000)), Err(Distrust::Signatures));
    }

    #[test]
    fn a_secret_has_24_to_64_bytes_behind_its_prefix() {
        let secret = |length: usize| Secret::from(format!("whsec_{}", STANDARD.encode(vec![7; length])));
        assert!([24, 64].into_iter().all(|length| Key::parse(&secret(length)).is_some()));
        assert!([0, 23, 65].into_iter().all(|length| Key::parse(&secret(length)).is_none()));
        assert!(Key::parse(&Secret::from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).is_none());
        assert!(Key::parse(&Secret::from("whsec_not base64")).is_none());
    }
}
