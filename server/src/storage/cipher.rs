//! Secrets at rest: AES-256-GCM under keys derived from the hub's secrets.

use std::fmt::{self, Write as _};

use hearback_core::{Error, ErrorKind, Result, secret::Secret};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest,
    rand::{SecureRandom, SystemRandom},
};

use super::Secrets;

/// The first byte of everything sealed, so that another format can follow.
const FORMAT: u8 = 1;
/// How many bytes name the key.
const KEY_ID_LEN: usize = 4;
/// What comes before the ciphertext: format, key id, nonce.
const HEADER_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let unavailable = || Error::new(ErrorKind::Unavailable, "cipher", "the system gives no random numbers");
    SystemRandom::new().fill(&mut bytes).map_err(|_| unavailable())?;
    Ok(bytes)
}

/// Which key something is sealed under: enough to tell keys apart, and nothing about them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId([u8; KEY_ID_LEN]);

impl KeyId {
    /// What something sealed says of its key; none when it is too short to say anything.
    #[must_use]
    pub fn of(sealed: &[u8]) -> Option<Self> {
        sealed.get(1..=KEY_ID_LEN)?.try_into().ok().map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Seals texts. What is sealed for one context opens in no other, so that stored values cannot be exchanged.
///
/// Sealed: the format (1 byte), the id of the key (4), the nonce (12), the ciphertext with its tag.
pub struct Cipher {
    present: Key,
    old: Vec<Key>,
}

struct Key {
    id: KeyId,
    key: LessSafeKey,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher({})", self.shown())
    }
}

impl Key {
    fn new(key: &[u8; 32]) -> Self {
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&digest::digest(&digest::SHA256, key).as_ref()[..KEY_ID_LEN]);
        let key = UnboundKey::new(&AES_256_GCM, key).expect("an AES-256 key has 32 bytes");
        Self { id: KeyId(id), key: LessSafeKey::new(key) }
    }

    fn open(&self, context: &str, nonce: &[u8], body: &[u8]) -> Option<Secret> {
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::from(context), &mut body).ok()?;
        std::str::from_utf8(plain).map(Secret::from).ok()
    }
}

impl Cipher {
    /// The cipher under the keys that the secrets have for storage: the present one's seals, each of them opens.
    #[must_use]
    pub fn new(secrets: &Secrets) -> Self {
        let present = Key::new(&secrets.present().derive(PURPOSE));
        let old = secrets.derive(PURPOSE).iter().skip(1).map(Key::new).collect();
        Self { present, old }
    }

    /// Seals `plain` for `context`, as `vault:slack/token`.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the system gives no random numbers.
    pub fn seal(&self, context: &str, plain: &str) -> Result<Vec<u8>> {
        let nonce = random::<NONCE_LEN>()?;
        let mut body = plain.as_bytes().to_vec();
        self.present
            .key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body)
            .map_err(|_| Error::new(ErrorKind::Rejected, "cipher", "the text is too long to be sealed"))?;
        let mut sealed = Vec::with_capacity(HEADER_LEN + body.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.present.id.0);
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what was sealed for `context`, under the present key or an old one.
    ///
    /// # Errors
    ///
    /// `Config` when it was sealed under another key, which it names; `Unexpected` when it was changed, or sealed for
    /// another context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret> {
        let damaged = || {
            Error::new(ErrorKind::Unexpected, "cipher", format!("the sealed value of {context} was changed or moved"))
        };
        let (Some(&FORMAT), Some(id), Some(nonce), Some(body)) =
            (sealed.first(), KeyId::of(sealed), sealed.get(1 + KEY_ID_LEN..HEADER_LEN), sealed.get(HEADER_LEN..))
        else {
            return Err(damaged());
        };
        if !self.knows(id) {
            let detail = format!("{context} is sealed under key {id}, but {}", self.shown());
            return Err(Error::new(ErrorKind::Config, "cipher", detail));
        }
        self.keys().filter(|key| key.id == id).find_map(|key| key.open(context, nonce, body)).ok_or_else(damaged)
    }

    /// Whether something sealed is under the present key.
    #[must_use]
    pub fn is_present(&self, sealed: &[u8]) -> bool {
        KeyId::of(sealed) == Some(self.present.id)
    }

    /// Whether it is one of the keys.
    #[must_use]
    pub fn knows(&self, id: KeyId) -> bool {
        self.keys().any(|key| key.id == id)
    }

    /// Which keys there are, as the end of a sentence.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut text = format!("SECRET_KEY gives key {}", self.present.id);
        for (index, key) in self.old.iter().enumerate() {
            // Writing into a string does not fail.
            let _ = write!(text, "{} {}", if index == 0 { " and the old ones give" } else { "," }, key.id);
        }
        text
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.present).chain(&self.old)
    }
}

/// What the keys are derived for.
const PURPOSE: &str = "storage";

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
