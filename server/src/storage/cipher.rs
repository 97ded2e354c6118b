//! Secrets at rest: AES-256-GCM under a key derived from `SECRET_KEY`.

use std::{
    fmt::{self, Write as _},
    fs, io,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearback_core::{
    Error, ErrorKind, Result,
    secret::{ExposeSecret, Secret},
};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest, hkdf,
    rand::{SecureRandom, SystemRandom},
};

/// The first byte of everything sealed, so that another format can follow.
const FORMAT: u8 = 1;
/// How many bytes name the key.
const KEY_ID_LEN: usize = 4;
/// What comes before the ciphertext: format, key id, nonce.
const HEADER_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;
/// The shortest `SECRET_KEY`, in characters.
pub const SECRET_MIN: usize = 32;
/// The file of a generated secret.
const SECRET_FILE: &str = "secret.key";

/// The hub's one secret. Every key is derived from it, each for its own purpose.
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
        let length = text.expose_secret().chars().count();
        if length < SECRET_MIN {
            let detail = format!("SECRET_KEY has {length} characters, expected at least {SECRET_MIN} random ones");
            return Err(Error::new(ErrorKind::Config, "secret_key", detail));
        }
        Ok(Self(text))
    }

    /// The secret kept in `secret.key` in `data_dir`; on the first start 32 random bytes are put there, as base64, to be
    /// read by this user alone.
    ///
    /// # Errors
    ///
    /// `Config` when the file cannot be read or written, or holds too little.
    pub fn load_or_generate(data_dir: &Path) -> Result<Self> {
        if let Some(kept) = Self::load(data_dir)? {
            return Ok(kept);
        }
        let (path, text) = (data_dir.join(SECRET_FILE), STANDARD.encode(random::<32>()?));
        fs::create_dir_all(data_dir).map_err(|error| file_fault("create the folder of", &path, error))?;
        write_private(&path, &text).map_err(|error| file_fault("write", &path, error))?;
        Self::new(text.into())
    }

    /// The secret kept in `secret.key` in `data_dir`, if there is one.
    ///
    /// # Errors
    ///
    /// `Config` when the file cannot be read, or holds too little.
    pub fn load(data_dir: &Path) -> Result<Option<Self>> {
        let path = data_dir.join(SECRET_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::new(text.trim().into()).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_fault("read", &path, error)),
        }
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
}

fn file_fault(what: &str, path: &Path, error: io::Error) -> Error {
    let detail = format!("cannot {what} {}: {error}", path.display());
    Error::new(ErrorKind::Config, "secret_key", detail).with_source(error)
}

/// Writes a new file that only this user can read, whole or not at all, and never over an existing one.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let draft = path.with_extension("key.new");
    // A draft that is there already was left by a start that was cut off: it is nobody's key.
    if let Err(error) = fs::remove_file(&draft)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = options.open(&draft)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    fs::hard_link(&draft, path)?;
    fs::remove_file(&draft)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let unavailable = || Error::new(ErrorKind::Unavailable, "cipher", "the system gives no random numbers");
    SystemRandom::new().fill(&mut bytes).map_err(|_| unavailable())?;
    Ok(bytes)
}

/// Seals texts. What is sealed for one context opens in no other, so that stored values cannot be exchanged.
///
/// Sealed: the format (1 byte), the id of the key (4), the nonce (12), the ciphertext with its tag.
pub struct Cipher {
    key: LessSafeKey,
    key_id: [u8; KEY_ID_LEN],
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher(key {})", hex(&self.key_id))
    }
}

impl Cipher {
    /// The cipher under the key that `secret` has for storage.
    ///
    /// # Panics
    ///
    /// Never: an AES-256 key has 32 bytes.
    #[must_use]
    pub fn new(secret: &SecretKey) -> Self {
        let key = secret.derive("storage");
        let mut key_id = [0; KEY_ID_LEN];
        key_id.copy_from_slice(&digest::digest(&digest::SHA256, &key).as_ref()[..KEY_ID_LEN]);
        let key = UnboundKey::new(&AES_256_GCM, &key).expect("32 bytes");
        Self { key: LessSafeKey::new(key), key_id }
    }

    /// Seals `plain` for `context`, as `vault:slack/token`.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the system gives no random numbers.
    pub fn seal(&self, context: &str, plain: &str) -> Result<Vec<u8>> {
        let nonce = random::<NONCE_LEN>()?;
        let mut body = plain.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body)
            .map_err(|_| Error::new(ErrorKind::Rejected, "cipher", "the text is too long to be sealed"))?;
        let mut sealed = Vec::with_capacity(HEADER_LEN + body.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.key_id);
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what was sealed for `context`.
    ///
    /// # Errors
    ///
    /// `Config` when it was sealed under another key, which it names; `Unexpected` when it was changed, or sealed for
    /// another context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret> {
        let damaged = || {
            Error::new(ErrorKind::Unexpected, "cipher", format!("the sealed value of {context} was changed or moved"))
        };
        let (Some((&FORMAT, header)), Some(body)) = (
            sealed.split_first().map(|(format, rest)| (format, &rest[..rest.len().min(HEADER_LEN - 1)])),
            sealed.get(HEADER_LEN..),
        ) else {
            return Err(damaged());
        };
        let (key_id, nonce) = header.split_at(KEY_ID_LEN);
        if key_id != self.key_id {
            let (theirs, ours) = (hex(key_id), hex(&self.key_id));
            let detail = format!("{context} is sealed under key {theirs}, but SECRET_KEY gives key {ours}");
            return Err(Error::new(ErrorKind::Config, "cipher", detail));
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut body = body.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::from(context), &mut body).map_err(|_| damaged())?;
        std::str::from_utf8(plain).map(Secret::from).map_err(|_| damaged())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
