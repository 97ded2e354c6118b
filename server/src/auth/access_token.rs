//! Access tokens: short-lived JWTs, signed with HS256 by the hub's present key, and read with the old ones too.

use std::time::Duration;

use hearback_core::{Error, ErrorKind, Result, Timestamp, id::UserId};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::ErrorKind as JwtErrorKind,
    signature::{self, Signer, Verifier},
};
use ring::hmac;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::storage::Secrets;

const ISSUER: &str = "hearback";
const AUDIENCE: &str = "hearback:api";
/// How far another server's clock may be ahead, in seconds.
const AHEAD: i64 = 60;
/// What the keys are derived for.
const PURPOSE: &str = "access token";

/// Makes and reads access tokens.
pub struct AccessTokens {
    encoding: EncodingKey,
    decoding: Vec<DecodingKey>,
    validation: Validation,
    life: Duration,
}

/// What an access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whose it is.
    pub user: UserId,
    /// The sign-in that it belongs to.
    pub sign_in: Uuid,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: Uuid,
    iat: i64,
    exp: i64,
    /// The hub writes none. A token that has one is not good before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
}

impl AccessTokens {
    /// Tokens that live for `life`, signed with the key of the present secret.
    #[must_use]
    pub fn new(secrets: &Secrets, life: Duration) -> Self {
        // The first one wins, and all are the same.
        let _ = PROVIDER.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // jsonwebtoken would ask the machine's clock; `read` compares with the time it is given.
        validation.validate_exp = false;
        let decoding = secrets.derive(PURPOSE).iter().map(|key| DecodingKey::from_secret(key)).collect();
        let encoding = EncodingKey::from_secret(&secrets.present().derive(PURPOSE));
        Self { encoding, decoding, validation, life }
    }

    /// How long a token lives.
    #[must_use]
    pub const fn life(&self) -> Duration {
        self.life
    }

    /// A new token.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn issue(&self, access: Access, now: Timestamp) -> Result<String> {
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: access.user,
            sid: access.sign_in,
            iat: seconds(now),
            exp: seconds(now.after(self.life)),
            nbf: None,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|_| Error::new(ErrorKind::Unexpected, "access_token", "cannot be signed"))
    }

    /// What a token says, if it is one of this hub's and has not expired.
    ///
    /// # Errors
    ///
    /// A sentence for people.
    pub fn read(&self, token: &str, now: Timestamp) -> Result<Access, &'static str> {
        let mut reads = self.decoding.iter().map(|key| jsonwebtoken::decode::<Claims>(token, key, &self.validation));
        let read = reads.find_map(Result::ok).ok_or("The access token is not one of this hub's.")?;
        let (now, claims) = (seconds(now), &read.claims);
        if now >= claims.exp {
            return Err("The access token has expired.");
        }
        if claims.iat.max(claims.nbf.unwrap_or(claims.iat)) > now + AHEAD {
            return Err("The access token is not valid yet.");
        }
        Ok(Access { user: read.claims.sub, sign_in: read.claims.sid })
    }
}

impl std::fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessTokens").field("life", &self.life).finish_non_exhaustive()
    }
}

const fn seconds(moment: Timestamp) -> i64 {
    moment.micros().div_euclid(1_000_000)
}

/// jsonwebtoken's own providers bring `rsa` or `aws-lc`; HS256 needs neither.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.as_bytes())?)),
    verifier_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.try_get_as_bytes()?)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(hmac::Key);

impl Hs256 {
    fn new(algorithm: Algorithm, key: &[u8]) -> jsonwebtoken::errors::Result<Self> {
        match algorithm {
            Algorithm::HS256 => Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key))),
            _ => Err(JwtErrorKind::InvalidAlgorithm.into()),
        }
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::storage::SecretKey;

    const NOW: Timestamp = Timestamp::from_micros(1_795_253_400_000_000);
    const LIFE: Duration = Duration::from_mins(25);

    fn secret(key: u8) -> SecretKey {
        SecretKey::new(key.to_string().repeat(32).into()).unwrap()
    }

    fn tokens(key: u8) -> AccessTokens {
        AccessTokens::new(&secret(key).into(), LIFE)
    }

    fn access() -> Access {
        Access { user: Uuid::from_u128(1).into(), sign_in: Uuid::from_u128(2) }
    }

    #[test]
    fn a_token_is_read_until_the_second_it_expires() {
        let tokens = tokens(1);
        let token = tokens.issue(access(), NOW).unwrap();
        assert_eq!(tokens.read(&token, NOW), Ok(access()));
        let end = NOW.after(LIFE);
        assert_eq!(tokens.read(&token, Timestamp::from_micros(end.micros() - 1)), Ok(access()));
        assert_eq!(tokens.read(&token, end), Err("The access token has expired."));
    }

    #[test]
    fn a_token_under_an_old_key_is_read_and_a_new_one_is_signed_with_the_present_key() {
        let rotated = AccessTokens::new(&Secrets::new(secret(2), [secret(1)]), LIFE);
        let old = tokens(1).issue(access(), NOW).unwrap();
        assert_eq!(rotated.read(&old, NOW), Ok(access()));
        assert_eq!(rotated.read(&old, NOW.after(LIFE)), Err("The access token has expired."));
        let new = rotated.issue(access(), NOW).unwrap();
        assert_eq!(tokens(2).read(&new, NOW), Ok(access()));
        assert!(tokens(1).read(&new, NOW).is_err() && tokens(2).read(&old, NOW).is_err());
    }

    #[test]
    fn what_this_hub_did_not_sign_is_foreign() {
        let ours = tokens(1);
        let token = ours.issue(access(), NOW).unwrap();
        let [header, claims, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let other_header = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let stranger = URL_SAFE_NO_PAD
            .encode(String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap().replace("0001", "0003"));
        let foreign = [
            tokens(2).issue(access(), NOW).unwrap(),
            format!("{}.{claims}.", other_header(r#"{"alg":"none","typ":"JWT"}"#)),
            format!("{}.{claims}.{signature}", other_header(r#"{"alg":"none","typ":"JWT"}"#)),
            format!("{}.{claims}.{signature}", other_header(r#"{"alg":"HS512","typ":"JWT"}"#)),
            format!("{}.{claims}.{signature}", other_header(r#"{"alg":"RS256","typ":"JWT"}"#)),
            format!("{header}.{stranger}.{signature}"),
            format!("{header}.{claims}."),
            format!("{header}.{claims}"),
            "..".into(),
            String::new(),
        ];
        for token in foreign {
            assert_eq!(ours.read(&token, NOW), Err("The access token is not one of this hub's."), "{token}");
        }
    }

    #[test]
    fn a_token_from_the_future_is_good_only_as_far_as_clocks_differ() {
        let tokens = tokens(1);
        let ahead = |seconds: u64| tokens.issue(access(), NOW.after(Duration::from_secs(seconds))).unwrap();
        assert_eq!(tokens.read(&ahead(60), NOW), Ok(access()));
        assert_eq!(tokens.read(&ahead(61), NOW), Err("The access token is not valid yet."));
    }

    #[test]
    fn a_token_of_another_issuer_or_audience_is_foreign_even_with_the_right_key() {
        let tokens = tokens(1);
        for (iss, aud) in [("elsewhere", AUDIENCE), (ISSUER, "elsewhere")] {
            let claims = Claims {
                iss: iss.into(),
                aud: aud.into(),
                sub: access().user,
                sid: access().sign_in,
                iat: seconds(NOW),
                exp: seconds(NOW) + 60,
                nbf: None,
            };
            let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &tokens.encoding).unwrap();
            assert!(tokens.read(&token, NOW).is_err());
        }
    }
}
