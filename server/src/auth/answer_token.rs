//! The tokens in links to the answer page. A token is bound to a delivery, and so to a request, to one of the people asked
//! and to the address where they got it, and to the deadline; it is signed, not stored, so that the hub knows it on every
//! server and after every restart.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hearback_core::{Timestamp, channel::AnswerUrls, feedback::Request, id::DeliveryId};
use ring::hmac;
use uuid::Uuid;

/// The first byte of every token, so that another format can follow.
const VERSION: u8 = 1;
/// What is signed: the version, the delivery, the deadline.
const SIGNED_LEN: usize = 1 + 16 + 8;
/// The whole token: what is signed, and its HMAC-SHA256.
const TOKEN_LEN: usize = SIGNED_LEN + 32;

/// What a token proves: whoever holds it got it where this delivery went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerClaims {
    /// The delivery that brought it: of the request that it may answer, to the person in whose name.
    pub delivery: DeliveryId,
    /// The request's deadline.
    pub deadline: Timestamp,
}

/// Makes the links to the answer page, and reads the tokens in them.
pub struct AnswerTokens {
    /// The key that signs, and those that did: all of them are believed.
    keys: Vec<hmac::Key>,
    /// The address of the page at `/`, with a trailing slash.
    hub: String,
}

impl std::fmt::Debug for AnswerTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerTokens").field("hub", &self.hub).finish_non_exhaustive()
    }
}

impl AnswerTokens {
    /// Tokens under the first of these keys, in links to the hub at this address with a trailing slash. Those of the other
    /// keys, which were the first once, are still believed.
    #[must_use]
    pub fn new(keys: &[[u8; 32]], hub: String) -> Self {
        Self { keys: keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect(), hub }
    }

    /// The token of these claims: 76 characters that need no escape in a URL.
    #[must_use]
    pub fn issue(&self, claims: AnswerClaims) -> String {
        let mut token = Vec::with_capacity(TOKEN_LEN);
        token.push(VERSION);
        token.extend_from_slice(claims.delivery.uuid().as_bytes());
        token.extend_from_slice(&claims.deadline.micros().to_be_bytes());
        if let Some(key) = self.keys.first() {
            let tag = hmac::sign(key, &token);
            token.extend_from_slice(tag.as_ref());
        }
        URL_SAFE_NO_PAD.encode(token)
    }

    /// What a token says, if it is one of this hub's, whole and unchanged.
    #[must_use]
    pub fn read(&self, token: &str) -> Option<AnswerClaims> {
        // Before it is decoded: what is longer is none, however long.
        if token.len() != TOKEN_LEN / 3 * 4 {
            return None;
        }
        let bytes: [u8; TOKEN_LEN] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let (signed, tag) = bytes.split_at(SIGNED_LEN);
        // Each comparison takes constant time, and which key it was is no secret.
        if !self.keys.iter().any(|key| hmac::verify(key, signed, tag).is_ok()) {
            return None;
        }
        let (version, rest) = signed.split_first()?;
        let (delivery, deadline) = rest.split_first_chunk::<16>()?;
        (*version == VERSION).then_some(AnswerClaims {
            delivery: Uuid::from_bytes(*delivery).into(),
            deadline: Timestamp::from_micros(i64::from_be_bytes(deadline.try_into().ok()?)),
        })
    }
}

impl AnswerUrls for AnswerTokens {
    fn personal(&self, request: &Request, delivery: DeliveryId) -> String {
        let claims = AnswerClaims { delivery, deadline: request.expires_at };
        format!("{}answer/{}", self.hub, self.issue(claims))
    }

    fn signed_in(&self, request: &Request) -> String {
        format!("{}#/requests/{}", self.hub, request.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> AnswerClaims {
        AnswerClaims {
            delivery: Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0001).into(),
            deadline: Timestamp::from_micros(1_795_000_000_000_001),
        }
    }

    fn tokens(keys: &[u8]) -> AnswerTokens {
        let keys: Vec<_> = keys.iter().map(|byte| [*byte; 32]).collect();
        AnswerTokens::new(&keys, "https://hub.example/".into())
    }

    #[test]
    fn a_token_says_what_it_was_made_for_and_fits_a_url() {
        let token = tokens(&[1]).issue(claims());
        assert_eq!(tokens(&[1]).read(&token), Some(claims()));
        assert_eq!(tokens(&[1]).issue(claims()), token, "a link that is sent again is the same");
        assert!(token.len() == 76 && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }

    #[test]
    fn no_token_that_was_changed_anywhere_is_believed() {
        let ours = tokens(&[1]);
        let token = ours.issue(claims());
        for at in 0..token.len() {
            for other in ['A', 'B', '_', '='] {
                let mut changed = token.clone();
                changed.replace_range(at..=at, &other.to_string());
                assert!(changed == token || ours.read(&changed).is_none(), "{at}: {changed}");
            }
            assert_eq!(ours.read(token.get(..at).unwrap()), None, "cut at {at}");
        }
        let longer = [format!("{token}A"), format!("{token}=="), format!(" {token}"), token.repeat(2), "é".repeat(38)];
        for wrong in longer {
            assert_eq!(ours.read(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_signature_of_another_delivery_or_deadline_does_not_fit() {
        let ours = tokens(&[1]);
        let bytes = |claims| URL_SAFE_NO_PAD.decode(ours.issue(claims)).unwrap();
        let token = bytes(claims());
        let others = [
            AnswerClaims { delivery: Uuid::from_u128(3).into(), ..claims() },
            AnswerClaims { deadline: Timestamp::from_micros(2), ..claims() },
        ];
        for other in others {
            let spliced = [&bytes(other)[..SIGNED_LEN], &token[SIGNED_LEN..]].concat();
            assert_eq!(ours.read(&URL_SAFE_NO_PAD.encode(spliced)), None, "{other:?}");
        }
    }

    #[test]
    fn tokens_of_earlier_keys_are_believed_and_those_of_foreign_ones_are_not() {
        let old = tokens(&[1]).issue(claims());
        assert_eq!(tokens(&[2, 1]).read(&old), Some(claims()));
        assert_eq!(tokens(&[2]).read(&old), None);
        let new = tokens(&[2, 1]).issue(claims());
        assert_eq!((tokens(&[2]).read(&new), tokens(&[1]).read(&new)), (Some(claims()), None));
    }

    #[test]
    fn a_token_of_another_version_is_none_even_with_the_right_key() {
        let ours = tokens(&[1]);
        let mut signed = URL_SAFE_NO_PAD.decode(ours.issue(claims())).unwrap()[..SIGNED_LEN].to_vec();
        signed[0] = 2;
        let tag = hmac::sign(&ours.keys[0], &signed);
        signed.extend_from_slice(tag.as_ref());
        assert_eq!(ours.read(&URL_SAFE_NO_PAD.encode(signed)), None);
    }
}
