//! The program as a shell sees it.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use crate::socket::connect;

/// Longer than anything here takes, so that a hang fails instead of lasting.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// What a finished program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program in a folder of its own, with nothing of this process's environment.
pub(crate) fn hearback(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearback"));
    command.args(args).env_clear().current_dir(folder).kill_on_drop(true);
    command
}

pub(crate) async fn ended(mut command: Command) -> Ended {
    let output = timeout(BOUND, command.output()).await.expect("the program ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The next line that a running program writes.
pub(crate) async fn next(lines: &mut Lines<BufReader<ChildStderr>>) -> String {
    let line = timeout(BOUND, lines.next_line()).await.expect("a line comes");
    line.unwrap().expect("the program runs on")
}

/// The program as a hub.
pub(crate) struct Served {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    pub(crate) url: String,
}

impl Served {
    /// Starts it in `folder` and returns once it listens.
    pub(crate) async fn start(folder: &Path, bind: &str) -> Self {
        let mut command = hearback(folder, &[]);
        command.env("HEARBACK_BIND", bind).env("LOG_FORMAT", "json").stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        loop {
            let line: Value = serde_json::from_str(&next(&mut log).await).unwrap();
            if let Some(url) = line["url"].as_str() {
                return Self { child, log, url: url.trim_end_matches('/').to_owned() };
            }
        }
    }

    pub(crate) async fn stop(mut self) {
        self.terminate().await;
        self.stopped().await;
    }

    async fn terminate(&self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    }

    async fn stopped(&mut self) {
        let stopped = async {
            while self.log.next_line().await.unwrap().is_some() {}
            self.child.wait().await.unwrap()
        };
        let status = timeout(Duration::from_secs(10), stopped).await.expect("it stops within 10 s");
        assert_eq!(status.code(), Some(0));
    }
}

fn empty_folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn help_and_version_are_on_standard_output() {
    let folder = empty_folder();
    let version = ended(hearback(folder.path(), &["--version"])).await;
    assert_eq!((version.code, version.out.trim()), (Some(0), concat!("hearback ", env!("CARGO_PKG_VERSION"))));
    for (args, expected) in [(&["--help"][..], "check-config"), (&["ask", "--help"], "Exit codes:")] {
        let help = ended(hearback(folder.path(), args)).await;
        assert_eq!(help.code, Some(0));
        assert!(help.out.contains(expected), "{}", help.out);
    }
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_the_error_code_of_its_command() {
    let folder = empty_folder();
    for (args, code) in [
        (&["--wrong"][..], 1),
        (&["serve", "--wrong"], 1),
        (&["migrate"], 1),
        (&["migrate", "down", "0"], 1),
        (&["ask"], 3),
        (&["ask", "Deploy?"], 3),
        (&["ask", "Deploy?", "--to", "ana", "--approval", "--input"], 3),
        (&["ask", "Deploy?", "--to", "ana", "--timeout", "soon"], 3),
        (&["ask", "Deploy?", "--to", "ana", "--min-length", "3"], 3),
        (&["ask", "--resume", "not-an-id"], 3),
        (&["ask", "Deploy?", "--resume", "01a1fd70-f1c0-7cf2-bc68-87782b491044"], 3),
    ] {
        let ended = ended(hearback(folder.path(), args)).await;
        assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.err);
        assert!(!ended.err.is_empty() && ended.out.is_empty(), "{args:?}");
    }
}

#[tokio::test]
async fn check_config_shows_the_settings_with_their_sources_and_no_secret() {
    let folder = empty_folder();
    std::fs::write(folder.path().join("hearback.toml"), "log_level = \"warn\"\npath_prefix = \"/hub/\"\n").unwrap();
    std::fs::write(folder.path().join(".env"), "LOG_LEVEL=debug\n").unwrap();
    let mut command = hearback(folder.path(), &["check-config"]);
    let secret = "correct horse battery staple 1234567";
    command.env("SECRET_KEY", secret).env("SLACK_BOT_TOKEN", "of a later version");
    let ended = ended(command).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let line = |key: &str| {
        let line = ended.out.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("LOG_LEVEL"), "debug .env, line 1");
    assert_eq!(line("PATH_PREFIX"), "/hub hearback.toml, line 2");
    assert_eq!(line("PUBLIC_URL"), "http://127.0.0.1:8000/hub default");
    assert_eq!(line("SECRET_KEY"), "set environment");
    assert_eq!(line("REGISTRATION"), "auto: open default");
    assert!(!ended.out.contains(secret));
}

#[tokio::test]
async fn an_address_where_nobody_could_sign_in_is_warned_of_and_not_refused() {
    let folder = empty_folder();
    let mut command = hearback(folder.path(), &["check-config"]);
    command.env("PUBLIC_URL", "http://192.168.0.7:8000");
    let checked = ended(command).await;
    assert_eq!(checked.code, Some(0));
    assert!(checked.err.contains("warning: PUBLIC_URL is http://192.168.0.7:8000/"), "{}", checked.err);
    let mut command = hearback(folder.path(), &[]);
    command.env("PUBLIC_URL", "http://192.168.0.7:8000").env("HEARBACK_BIND", "127.0.0.1:0").stderr(Stdio::piped());
    let mut hub = command.spawn().unwrap();
    let mut log = BufReader::new(hub.stderr.take().unwrap()).lines();
    while !next(&mut log).await.contains("PUBLIC_URL is http://192.168.0.7:8000/") {}
    hub.kill().await.unwrap();
}

#[tokio::test]
async fn every_problem_of_the_configuration_stops_the_program_and_is_named() {
    let folder = empty_folder();
    let file = folder.path().join("hub.toml");
    std::fs::write(&file, "hearback_bind = \"localhost\"\n").unwrap();
    for command in ["check-config", "serve", "migrate"] {
        let mut args = vec!["--config", "hub.toml", command];
        args.extend((command == "migrate").then_some("status"));
        let mut command = hearback(folder.path(), &args);
        command.env("LOG_FORMAT", "xml").env("SECRET_KEY", "short-secret");
        let ended = ended(command).await;
        assert_eq!(ended.code, Some(1), "{args:?}");
        assert!(ended.err.contains("HEARBACK_BIND (hub.toml, line 1): \"localhost\""), "{}", ended.err);
        assert!(ended.err.contains("LOG_FORMAT (environment): \"xml\""), "{}", ended.err);
        assert!(ended.err.contains("Allowed: text, json"), "{}", ended.err);
        assert!(ended.err.contains("SECRET_KEY (environment): has 12 characters"), "{}", ended.err);
        assert!(!ended.err.contains("short-secret"));
    }
}

#[tokio::test]
async fn the_hub_runs_without_any_setting_and_logs_each_call_with_its_request_id() {
    let folder = empty_folder();
    let mut hub = Served::start(folder.path(), "127.0.0.1:0").await;
    // It errs only when another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let call = reqwest::Client::new().get(format!("{}/api/feedback", hub.url));
    let answer = call.bearer_auth("hb_wrong").send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let line = loop {
        let line = next(&mut hub.log).await;
        if line.contains(&id) {
            break line;
        }
    };
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["spans"][0]["request_id"], id.as_str());
    assert!(!line.to_string().contains("hb_wrong"));
    assert!(folder.path().join("data/hearback.db").exists() && folder.path().join("data/secret.key").exists());
    hub.stop().await;
}

#[tokio::test]
async fn a_stopping_hub_says_so_to_new_callers_and_lets_the_old_ones_end() {
    let folder = empty_folder();
    let mut hub = Served::start(folder.path(), "127.0.0.1:0").await;
    // It errs only when another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Every call is a connection of its own.
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let post = async |path: &str, token: &str, body: Value| -> Value {
        let call = client.post(format!("{}{path}", hub.url)).bearer_auth(token).json(&body);
        call.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    };
    let account = json!({"email": "ana@example.org", "password": "a green lamp 7", "username": "ana"});
    let tokens = post("/api/auth/register", "", account).await;
    let token = tokens["access_token"].as_str().unwrap();
    let draft = json!({"kind": "approval", "prompt": "Deploy 1.4.2?", "to": ["ana"]});
    let asked = post("/api/feedback", token, draft).await;
    let bearer = ("authorization", format!("Bearer {token}"));
    let socket_url = format!("{}/ws", hub.url.replacen("http", "ws", 1));
    let mut socket = connect(&socket_url, &[bearer]).await.map_err(|refused| format!("{refused:?}")).unwrap();
    socket.expect("connection_established").await;
    socket.expect("feedback_request").await;
    let wait = format!("{}/api/feedback/{}?wait=60", hub.url, asked["id"].as_str().unwrap());
    let waiting = tokio::spawn(client.get(&wait).bearer_auth(token).send());
    hub.terminate().await;
    let not_ready = timeout(BOUND, async {
        loop {
            let answer = client.get(format!("{}/readyz", hub.url)).send().await.expect("connections are still taken");
            if answer.status() == 503 {
                return answer;
            }
        }
    });
    let not_ready = not_ready.await.expect("it says that it stops");
    assert_eq!(not_ready.headers()["retry-after"], "1");
    let again = client.get(&wait).bearer_auth(token).send().await.unwrap();
    assert_eq!(again.status(), 503, "who would wait again is told to come later");
    let waited = waiting.await.unwrap().expect("an answer and no cut connection");
    assert!([200, 503].contains(&waited.status().as_u16()), "parked before it stopped, or told so: {waited:?}");
    assert_eq!(socket.close_code().await, Some(1001));
    hub.stopped().await;
}
