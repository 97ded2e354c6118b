//! The argon2id hashes of passwords, made on a few threads of their own.
//!
//! Hashing is slow and takes memory on purpose, so a flood of log-ins could take the whole machine. Therefore: no more threads than
//! half of the cores, of the lowest priority, so that calls go first; and a queue that refuses when it is full, since a
//! log-in that waits for long is tried again and makes it longer (decision 0025).

use std::{
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};
use hearback_core::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use thread_priority::{ThreadPriority, set_current_thread_priority};
use tokio::sync::oneshot;

use crate::{api::problem::Problem, digest};

/// Bytes of salt, as RFC 9106 recommends.
const SALT: usize = 16;
/// How many wait for a thread: some seconds of work on one. Whoever hangs up while they wait costs nothing.
const QUEUE: usize = 128;

type Job = Box<dyn FnOnce() + Send>;

/// Hashes and verifies passwords. Its threads end when it is dropped.
#[derive(Clone, Debug)]
pub struct Hashing {
    tx: SyncSender<Job>,
    dummy: Arc<str>,
}

impl Hashing {
    /// Starts the threads. Takes as long as hashing one password.
    ///
    /// # Errors
    ///
    /// When hashing fails, or the system starts no more threads.
    pub fn start() -> Result<Self> {
        let cores = thread::available_parallelism().map_or(1, Into::into);
        Self::with((cores / 2).max(1), QUEUE)
    }

    fn with(threads: usize, queue: usize) -> Result<Self> {
        let (tx, rx) = sync_channel::<Job>(queue);
        let rx = Arc::new(Mutex::new(rx));
        for _ in 0..threads {
            let rx = rx.clone();
            let work = move || {
                if let Err(error) = set_current_thread_priority(ThreadPriority::Min) {
                    tracing::debug!(%error, "passwords are hashed at the same priority as everything else");
                }
                loop {
                    let job = rx.lock().recv();
                    let Ok(job) = job else { return };
                    job();
                }
            };
            let started = thread::Builder::new().name("passwords".into()).spawn(work);
            started.map_err(|error| {
                Error::new(ErrorKind::Unavailable, "password", "the system starts no more threads").with_source(error)
            })?;
        }
        Ok(Self { tx, dummy: hash(&digest::random_text())?.into() })
    }

    /// The argon2id hash of a password, in PHC form.
    ///
    /// # Errors
    ///
    /// `unavailable` when too many wait; `internal` when hashing fails.
    pub async fn hash(&self, password: String) -> Result<String, Problem> {
        self.in_turn(move || hash(&password)).await
    }

    /// Whether the password has this hash. Without a hash it takes as long and says no, so that time does not tell
    /// whether there is an account.
    ///
    /// # Errors
    ///
    /// `unavailable` when too many wait; `internal` when the stored hash cannot be read.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, Problem> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.dummy.to_string());
        let same = self.in_turn(move || {
            let parsed = PasswordHash::new(&stored).map_err(|error| failed(&error))?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
        });
        Ok(same.await? && known)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let (tx, rx) = oneshot::channel();
        let job = move || {
            // Whoever hung up while they waited is not worked for.
            if !tx.is_closed() {
                let _ = tx.send(work());
            }
        };
        match self.tx.try_send(Box::new(job)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(Problem::unavailable("Too many people are signing in at once. Try again shortly."));
            }
            Err(TrySendError::Disconnected(_)) => return Err(broken().into()),
        }
        Ok(rx.await.map_err(|_| broken())??)
    }
}

fn broken() -> Error {
    Error::new(ErrorKind::Unexpected, "password", "hashing broke off")
}

fn hash(password: &str) -> Result<String> {
    let salt = SaltString::encode_b64(&digest::random_bytes()[..SALT]).map_err(|error| failed(&error))?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt).map_err(|error| failed(&error))?;
    Ok(hash.to_string())
}

fn failed(error: &argon2::password_hash::Error) -> Error {
    Error::new(ErrorKind::Unexpected, "password", format!("cannot be hashed: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::future::join_all;

    use super::*;
    use crate::api::problem::ProblemKind;

    #[tokio::test]
    async fn a_password_is_verified_against_its_own_argon2id_hash_only() {
        let passwords = Hashing::start().unwrap();
        let hash = passwords.hash("a green lamp 7".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("a green lamp 7".into()).await.unwrap());
        assert!(passwords.verify("a green lamp 7".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("a green lamp 8".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("a green lamp 7".into(), None).await.unwrap());
        let damaged = passwords.verify("a green lamp 7".into(), Some("no hash".into())).await;
        assert_eq!(damaged.unwrap_err().kind(), ProblemKind::Internal);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_takes_more_when_it_is_worked_off() {
        let passwords = Hashing::with(1, 2).unwrap();
        let ((begun_tx, begun_rx), (tx, rx)) = (oneshot::channel(), mpsc::channel::<()>());
        let held = tokio::spawn({
            let passwords = passwords.clone();
            let hold = move || {
                let _ = begun_tx.send(());
                // It ends when the test drops the other side.
                let _ = rx.recv();
                Ok(())
            };
            async move { passwords.in_turn(hold).await }
        });
        begun_rx.await.unwrap();
        let calls = (0..3).map(|_| passwords.verify("a green lamp 7".into(), None));
        let refused = async {
            let answers = tokio::join!(passwords.hash("a".into()), passwords.hash("b".into()), async {
                let refused = passwords.hash("c".into()).await.unwrap_err();
                assert_eq!(refused.kind(), ProblemKind::Unavailable);
                drop(tx);
            });
            assert!(answers.0.is_ok() && answers.1.is_ok());
        };
        refused.await;
        held.await.unwrap().unwrap();
        let mut worked = 0;
        for call in calls.collect::<Vec<_>>() {
            worked += usize::from(!call.await.unwrap());
        }
        assert_eq!(worked, 3);
        join_all([passwords.hash("d".into()), passwords.hash("e".into())]).await.into_iter().for_each(|hash| {
            hash.unwrap();
        });
    }
}
