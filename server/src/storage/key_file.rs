//! The file of a generated secret, `secret.key`: the present one on the first line, the old ones below.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearback_core::{
    Error, ErrorKind, Result,
    secret::{ExposeSecret, Secret},
};

use super::{SecretKey, Secrets, cipher::random};

/// Its name in the folder of the data.
const NAME: &str = "secret.key";

impl Secrets {
    /// The secrets kept in `secret.key` in `data_dir`; on the first start 32 random bytes are put there, as base64, to be
    /// read by this user alone.
    ///
    /// # Errors
    ///
    /// `Config` when the file cannot be read or written, or holds too little.
    pub fn load_or_generate(data_dir: &Path) -> Result<Self> {
        if let Some(kept) = Self::load(data_dir)? {
            return Ok(kept);
        }
        let (path, text) = (path(data_dir), generate()?);
        fs::create_dir_all(data_dir).map_err(|error| fault("create the folder of", &path, error))?;
        // A draft that is there already was left by a start that was cut off: it is nobody's key.
        match fs::remove_file(draft_of(&path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault("write", &path, error)),
            _ => {}
        }
        // Never over an existing file: another start may have been faster.
        let written = Draft::new(&path).and_then(|mut draft| {
            draft.write(text.expose_secret())?;
            fs::hard_link(&draft.path, &path)
        });
        written.map_err(|error| fault("write", &path, error))?;
        SecretKey::new(text).map(Self::from)
    }

    /// The secrets kept in `secret.key` in `data_dir`, if there is one.
    ///
    /// # Errors
    ///
    /// `Config` when the file cannot be read, or a line holds too little.
    pub fn load(data_dir: &Path) -> Result<Option<Self>> {
        let path = path(data_dir);
        let Some(text) = read(&path)? else { return Ok(None) };
        let lines = text.expose_secret().lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let mut secrets = lines.map(|(index, line)| {
            let place = format!("line {} of {}", index + 1, path.display());
            SecretKey::found(&place, line.trim().into())
        });
        let empty = || SecretKey::found(&path.display().to_string(), Secret::default());
        let present = secrets.next().unwrap_or_else(empty)?;
        Ok(Some(Self::new(present, secrets.collect::<Result<Vec<_>>>()?)))
    }

    /// Puts a new secret on the first line of `secret.key` in `data_dir`; those that were there stay below it, as old ones.
    /// The file changes as a whole or not at all. Says where it is.
    ///
    /// # Errors
    ///
    /// `Config` when there is no such file, it cannot be read or written, or another rotation is at work.
    pub fn rotate_file(data_dir: &Path) -> Result<PathBuf> {
        let path = path(data_dir);
        // What cannot be loaded now could not be loaded with a line more.
        if Self::load(data_dir)?.is_none() {
            let detail = format!("there is no {} to rotate: the hub makes one at its first start", path.display());
            return Err(Error::new(ErrorKind::Config, "secret_key", detail));
        }
        let fresh = generate()?;
        // Whoever has the draft is alone, and reads the file after that: so nobody's new secret is lost.
        let replaced = Draft::new(&path).and_then(|mut draft| {
            draft.write(&format!("{}\n{}\n", fresh.expose_secret(), fs::read_to_string(&path)?.trim_end()))?;
            draft.belong_to_owner_of(&path)?;
            fs::rename(&draft.path, &path)?;
            draft.is_renamed = true;
            sync_folder(data_dir)
        });
        replaced.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                let detail = format!(
                    "{} is there: another rotation is at work, or one was cut off, and then remove it",
                    draft_of(&path).display()
                );
                Error::new(ErrorKind::Config, "secret_key", detail)
            }
            _ => fault("write", &path, error),
        })?;
        Ok(path)
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}

fn draft_of(path: &Path) -> PathBuf {
    path.with_extension("key.new")
}

fn generate() -> Result<Secret> {
    Ok(STANDARD.encode(random::<32>()?).into())
}

fn read(path: &Path) -> Result<Option<Secret>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault("read", path, error)),
    }
}

/// The file under another name until it is whole; removed when it is not renamed.
struct Draft {
    path: PathBuf,
    file: File,
    is_renamed: bool,
}

impl Draft {
    /// A new, empty one beside `path`, that only this user can read.
    fn new(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let path = draft_of(path);
        Ok(Self { file: options.open(&path)?, path, is_renamed: false })
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.file.sync_all()
    }

    /// Whoever rotates may be another user than the hub's, which has to read the file.
    fn belong_to_owner_of(&self, path: &Path) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            let owner = fs::metadata(path)?;
            fchown(&self.file, Some(owner.uid()), Some(owner.gid()))?;
        }
        #[cfg(not(unix))]
        let _ = path;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a new name in a folder outlive a power cut, where folders can be told to.
fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

fn fault(what: &str, path: &Path, error: io::Error) -> Error {
    let detail = format!("cannot {what} {}: {error}", path.display());
    Error::new(ErrorKind::Config, "secret_key", detail).with_source(error)
}
