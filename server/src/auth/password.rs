//! Passwords: the rule they keep, and their argon2id hashes.

use std::{sync::Arc, thread};

use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};
use hearback_core::{Error, ErrorKind, Result, error::FieldError};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::digest;

const LENGTH_MIN: usize = 8;
const LENGTH_MAX: usize = 256;
/// Bytes of salt, as RFC 9106 recommends.
const SALT: usize = 16;

/// Hashes and verifies passwords away from the async threads, no more at a time than there are cores.
#[derive(Clone, Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    dummy: Arc<str>,
}

impl Passwords {
    /// A hasher. Takes as long as hashing one password.
    ///
    /// # Errors
    ///
    /// When hashing fails.
    pub fn new() -> Result<Self> {
        let cores = thread::available_parallelism().map_or(1, Into::into);
        let dummy = hash(&digest::random_text())?.into();
        Ok(Self { turns: Arc::new(Semaphore::new(cores)), dummy })
    }

    /// The argon2id hash of a password, in PHC form.
    ///
    /// # Errors
    ///
    /// When hashing fails.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.in_turn(move || hash(&password)).await
    }

    /// Whether the password has this hash. Without a hash it takes as long and says no, so that time does not tell
    /// whether there is an account.
    ///
    /// # Errors
    ///
    /// When the stored hash cannot be read.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.dummy.to_string());
        let same = self.in_turn(move || {
            let parsed = PasswordHash::new(&stored).map_err(|error| failed(&error))?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
        });
        Ok(same.await? && known)
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let turn = self.turns.clone().acquire_owned().await;
        let work = spawn_blocking(move || {
            // Held until the work is done, also when the caller has gone away.
            let _turn = turn;
            work()
        });
        work.await
            .map_err(|error| Error::new(ErrorKind::Unexpected, "password", "hashing broke off").with_source(error))?
    }
}

fn hash(password: &str) -> Result<String> {
    let salt = SaltString::encode_b64(&digest::random_bytes()[..SALT]).map_err(|error| failed(&error))?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt).map_err(|error| failed(&error))?;
    Ok(hash.to_string())
}

fn failed(error: &argon2::password_hash::Error) -> Error {
    Error::new(ErrorKind::Unexpected, "password", format!("cannot be hashed: {error}"))
}

/// Checks the rule for new passwords: 8 to 256 characters, one of them a digit.
#[must_use]
pub fn fault(password: &str) -> Option<FieldError> {
    let length = password.chars().count();
    if length < LENGTH_MIN || !password.chars().any(char::is_numeric) {
        return Some(FieldError::new("password", "expected at least 8 characters with a number"));
    }
    (length > LENGTH_MAX).then(|| FieldError::new("password", "expected at most 256 characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_eight_characters_with_a_number() {
        for good in ["a green lamp 7", "1234567ä", &"x1".repeat(128)] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in ["", "short 1", "no number here", &"x1".repeat(129)] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_password_is_verified_against_its_own_argon2id_hash_only() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("a green lamp 7".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("a green lamp 7".into()).await.unwrap());
        assert!(passwords.verify("a green lamp 7".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("a green lamp 8".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("a green lamp 7".into(), None).await.unwrap());
    }
}
