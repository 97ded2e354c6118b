//! The real program, started and killed.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::oneshot,
    time::{sleep, timeout},
};

/// Longer than a start takes, so that a hub that does not come up fails the run instead of lasting.
const START_MAX: Duration = Duration::from_mins(1);
/// How often a hub that listens is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// How one hub is started, again and again.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its working folder, with `hearback.toml`.
    pub folder: PathBuf,
    pub environment: Vec<(&'static str, String)>,
    /// Everything that it says, of all its lives.
    pub log: PathBuf,
}

/// One life of it.
#[derive(Debug)]
pub struct Life {
    process: Child,
    listening: oneshot::Receiver<String>,
}

impl Setting {
    pub fn new(folder: &Path, number: usize, environment: Vec<(&'static str, String)>) -> Self {
        Self { folder: folder.into(), environment, log: folder.join(format!("hub-{number}.log")) }
    }

    /// Starts it. It has an environment of its own, and a free port.
    pub fn start(&self) -> Life {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hearback"));
        command.env_clear().current_dir(&self.folder).kill_on_drop(true);
        command.env("HEARBACK_BIND", "127.0.0.1:0").env("LOG_FORMAT", "json");
        // What people do counts, and is never too much: they do more here than anybody may.
        command.env("RATE_LIMIT_USER", "1000000000").env("RATE_LIMIT_CHANNEL", "1000000000");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let (tx, listening) = oneshot::channel();
        tokio::spawn(async move {
            let mut tx = Some(tx);
            // The end of a killed one may be no UTF-8, or half a line.
            while let Ok(Some(line)) = lines.next_line().await {
                keep(&mut log, &line);
                let said: Value = serde_json::from_str(&line).unwrap_or_default();
                if let (Some(url), true) = (said["url"].as_str(), said["message"] == "listening")
                    && let Some(tx) = tx.take()
                {
                    // Nobody waits for one that is killed during its start.
                    let _ = tx.send(url.trim_end_matches('/').to_owned());
                }
            }
            keep(&mut log, "--- the end of a life");
        });
        Life { process, listening }
    }
}

fn keep(log: &mut File, line: &str) {
    let _ = writeln!(log, "{line}");
}

impl Life {
    /// Its URL, once it is ready. What is wrong when it does not come up.
    pub async fn ready(&mut self) -> Result<String, String> {
        let ready = async {
            let Ok(url) = (&mut self.listening).await else {
                return Err("it ended during its start".into());
            };
            let client = reqwest::Client::new();
            while !client.get(format!("{url}/readyz")).send().await.is_ok_and(|answer| answer.status() == 200) {
                sleep(ASK_EVERY).await;
            }
            Ok(url)
        };
        timeout(START_MAX, ready).await.unwrap_or_else(|_| Err(format!("it is not ready after {START_MAX:?}")))
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.start_kill().unwrap();
    }

    /// Returns when nothing of it is left.
    pub async fn gone(mut self) {
        self.process.wait().await.unwrap();
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }
}
