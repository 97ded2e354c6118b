//! A hub as a program, everything that it says kept.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use crate::program::{BOUND, hearback};

/// Everything that was said, line by line.
type Log = Arc<Mutex<Vec<u8>>>;

pub struct Hub {
    pub folder: TempDir,
    environment: Vec<(&'static str, String)>,
    log: Log,
    child: Option<Child>,
    readers: Vec<JoinHandle<()>>,
    /// Where it listens.
    pub origin: String,
    /// The same with its path prefix.
    pub url: String,
}

impl Hub {
    /// A folder for a hub with this `hearback.toml`, in this environment, which logs all there is.
    pub fn new(toml: &str, environment: Vec<(&'static str, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hearback.toml"), toml).unwrap();
        Self {
            folder,
            environment,
            log: Log::default(),
            child: None,
            readers: Vec::new(),
            origin: String::new(),
            url: String::new(),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = hearback(self.folder.path(), args);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("HEARBACK_BIND", "127.0.0.1:0").env("LOG_LEVEL", "trace");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it, and returns when it listens.
    pub async fn start(&mut self) {
        let mut child = self.command(&[]).spawn().unwrap();
        let (tx, mut rx) = mpsc::unbounded_channel();
        self.readers.push(tokio::spawn(keep(child.stdout.take().unwrap(), self.log.clone(), tx.clone())));
        self.readers.push(tokio::spawn(keep(child.stderr.take().unwrap(), self.log.clone(), tx)));
        self.child = Some(child);
        self.origin = timeout(BOUND, rx.recv()).await.expect("it starts in time").expect("it starts");
        let prefix = self.environment.iter().find(|(name, _)| *name == "PATH_PREFIX").map_or("", |(_, prefix)| prefix);
        self.url = format!("{}{prefix}", self.origin);
    }

    /// Stops it in order.
    pub async fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        assert!(timeout(BOUND, child.wait()).await.expect("it stops in time").unwrap().success());
        for reader in self.readers.drain(..) {
            reader.await.unwrap();
        }
    }

    /// Runs a command, whose words are kept like the hub's.
    pub async fn run(&self, args: &[&str]) {
        let output = timeout(BOUND, self.command(args).output()).await.expect("it ends").unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        self.log.lock().unwrap().extend([output.stdout, output.stderr].concat());
    }

    pub fn log(&self) -> Vec<u8> {
        self.log.lock().unwrap().clone()
    }

    /// Every file that it has made.
    pub fn files(&self) -> Vec<PathBuf> {
        // With PostgreSQL there are none before the backup.
        let data = std::fs::read_dir(self.folder.path().join("data")).into_iter().flatten();
        data.map(|file| file.unwrap().path()).collect()
    }
}

/// Keeps what is said, and tells where the hub listens.
async fn keep(from: impl AsyncRead + Unpin, log: Log, tx: mpsc::UnboundedSender<String>) {
    let mut lines = BufReader::new(from).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("listening")
            && let Some((_, rest)) = line.split_once("http://")
        {
            let address: String = rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
            // Only the first is waited for.
            let _ = tx.send(format!("http://{address}"));
        }
        let mut log = log.lock().unwrap();
        log.extend(line.as_bytes());
        log.push(b'\n');
    }
}
