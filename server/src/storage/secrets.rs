//! The hub's secrets: the present one, and earlier ones. Every key is derived from them, each for its own purpose.

use std::fmt;

use hearback_core::{
    Error, ErrorKind, Result,
    secret::{ExposeSecret, Secret},
};
use ring::hkdf;

/// The shortest `SECRET_KEY`, in characters.
pub const SECRET_MIN: usize = 32;

/// One secret.
#[derive(Clone)]
pub struct SecretKey(Secret);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

impl SecretKey {
    /// The secret that the configuration gives.
    ///
    /// # Errors
    ///
    /// `Config` when it has fewer than 32 characters.
    pub fn new(text: Secret) -> Result<Self> {
        Self::found("SECRET_KEY", text)
    }

    /// A secret that was found in this place.
    pub(super) fn found(place: &str, text: Secret) -> Result<Self> {
        let length = text.expose_secret().chars().count();
        if length < SECRET_MIN {
            let detail = format!("{place} has {length} characters, expected at least {SECRET_MIN} random ones");
            return Err(Error::new(ErrorKind::Config, "secret_key", detail));
        }
        Ok(Self(text))
    }

    /// The key for one purpose, by HKDF-SHA256. Keys of different purposes tell nothing about each other.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it cannot: see below")]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut key = [0; 32];
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"hearback");
        let pseudorandom = salt.extract(self.0.expose_secret().as_bytes());
        // HKDF fails only above 255 hashes of output, and this asks for one.
        pseudorandom
            .expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|output| output.fill(&mut key))
            .expect("one hash of output");
        key
    }

    fn is(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

/// The present secret, which seals and signs, and earlier ones, under which what was sealed and signed is still read.
#[derive(Clone, Debug)]
pub struct Secrets {
    present: SecretKey,
    old: Vec<SecretKey>,
}

impl Secrets {
    /// The present secret with the old ones. One that is named twice counts once.
    #[must_use]
    pub fn new(present: SecretKey, old: impl IntoIterator<Item = SecretKey>) -> Self {
        Self { present, old: Vec::new() }.and_old(old)
    }

    /// The same secrets, and more old ones.
    #[must_use]
    pub fn and_old(mut self, more: impl IntoIterator<Item = SecretKey>) -> Self {
        for secret in more {
            if !self.all().any(|known| known.is(&secret)) {
                self.old.push(secret);
            }
        }
        self
    }

    /// The secret that seals and signs.
    #[must_use]
    pub const fn present(&self) -> &SecretKey {
        &self.present
    }

    /// The keys of all secrets for one purpose: the present one's, which makes what is new, then the old ones', with which
    /// what was made before is read.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Vec<[u8; 32]> {
        self.all().map(|secret| secret.derive(purpose)).collect()
    }

    fn all(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.present).chain(&self.old)
    }
}

impl From<SecretKey> for Secrets {
    fn from(present: SecretKey) -> Self {
        Self { present, old: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(letter: &str) -> SecretKey {
        SecretKey::new(letter.repeat(32).into()).unwrap()
    }

    #[test]
    fn the_present_secret_comes_first_and_each_counts_once() {
        let secrets = Secrets::new(secret("a"), [secret("b"), secret("a")]).and_old([secret("c"), secret("b")]);
        let expected = ["a", "b", "c"].map(|letter| secret(letter).derive("storage"));
        assert_eq!(secrets.derive("storage"), expected);
        assert_ne!(secrets.derive("access token"), expected);
        assert_eq!(format!("{secrets:?}"), "Secrets { present: SecretKey, old: [SecretKey, SecretKey] }");
    }
}
