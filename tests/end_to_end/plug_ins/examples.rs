//! The plug-ins of `examples/plug-ins`, as anybody starts them: they stand the check, and nobody unbelieved moves them.

use std::{
    env, fs,
    io::Write,
    net::TcpListener,
    path::Path,
    process::{Command as Start, Stdio},
    thread,
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    task::yield_now,
    time::timeout,
};

use super::fake::{PlugIn, SECRET};
use crate::program::{BOUND, Ended, ended, hearback};

/// Stands for the library: it takes every target, and writes down what it is to push.
const APPRISE: &str = "\
class Apprise:
    def add(self, url):
        return url.startswith('ntfy://')

    def notify(self, title, body):
        return bool(title and body)
";

/// An example that runs, in a folder of its own.
struct Example {
    process: Child,
    folder: TempDir,
    port: u16,
}

/// Whether there is a Python to run them with.
fn python() -> bool {
    let runs = Start::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if runs.is_ok_and(|status| status.success()) {
        return true;
    }
    let test = thread::current().name().unwrap_or_default().to_owned();
    let line = format!("{test}: needs python3 on the PATH");
    assert!(env::var_os("TEST_REQUIRE_SERVICES").is_none_or(|value| value != "1"), "{line}");
    // Not by eprintln, whose text is only shown of tests that fail.
    std::io::stderr().write_all(format!("SKIPPED {line}\n").as_bytes()).unwrap();
    false
}

impl Example {
    async fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("apprise.py"), APPRISE).unwrap();
        fs::write(folder.path().join("targets.json"), json!({"ana": ["ntfy://ana-phone"]}).to_string()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plug-ins").join(name);
        let process = Command::new("python3")
            .arg(program)
            .arg(port.to_string())
            .current_dir(folder.path())
            .env("HEARBACK_PLUGIN_SECRET", SECRET)
            .env("PYTHONPATH", folder.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let example = Self { process, folder, port };
        let listening = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                yield_now().await;
            }
        };
        timeout(BOUND, listening).await.unwrap_or_else(|_| panic!("{name} listens"));
        example
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    async fn check(&self, args: &[&str]) -> Ended {
        let mut command = hearback(self.folder.path(), &[&["check-plugin", &self.url()], args].concat());
        command.env("HEARBACK_PLUGIN_SECRET", SECRET);
        ended(command).await
    }

    /// The first line of the answer to a call with these headers, which nobody signed.
    async fn unsigned(&self, headers: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(BOUND, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn the_examples_stand_the_check_that_the_page_tells_of() {
    if !python() {
        return;
    }
    for (name, args) in [("terminal.py", &[][..]), ("apprise_link.py", &["--to", "ana"])] {
        let Ended { code, out, err } = Example::start(name).await.check(args).await;
        assert_eq!(code, Some(0), "{name}: {out}{err}");
        assert!(out.contains(" 0 FAILED"), "{name}: {out}{err}");
    }
}

#[tokio::test]
async fn the_check_asks_for_an_address_where_nobody_chose_one() {
    if !python() {
        return;
    }
    let example = Example::start("apprise_link.py").await;
    for (args, asks) in [(&[][..], true), (&["--to", "ben"], false)] {
        let Ended { code, out, err } = example.check(args).await;
        assert_eq!(code, Some(1), "{out}{err}");
        let hint = "\nIs `check-plugin` an address that it knows? `--to ADDRESS` names one.\n";
        assert_eq!(out.ends_with(hint), asks, "{out}");
    }
}

#[tokio::test]
async fn an_answer_at_the_terminal_reaches_the_check() {
    if !python() {
        return;
    }
    let mut terminal = Example::start("terminal.py").await;
    // It waits there until it is asked for.
    terminal.process.stdin.as_mut().unwrap().write_all(b"yes\n").await.unwrap();
    let Ended { code, out, err } = terminal.check(&["--answer", "20"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    for case in ["a person's answer comes: as `text`", "an event that is answered with 503 comes again"] {
        assert!(out.contains(&format!("ok       {case}\n")), "{case}: {out}");
    }
}

#[tokio::test]
async fn what_nobody_signed_is_refused_by_the_examples_whatever_it_is() {
    if !python() {
        return;
    }
    for name in ["terminal.py", "apprise_link.py"] {
        let example = Example::start(name).await;
        let times = [400, 5_000].map(|digits| {
            format!("webhook-id: x\r\nwebhook-timestamp: {}\r\nContent-Length: 0\r\n", "1".repeat(digits))
        });
        let lengths =
            ["-1", "1048577", "99999999999999999999", "x", ""].map(|length| format!("Content-Length: {length}\r\n"));
        for headers in times.into_iter().chain(lengths) {
            let answer = example.unsigned(&headers).await;
            assert_eq!(answer, "HTTP/1.0 401 Unauthorized", "{name}: {headers:.60}");
        }
    }
}

#[tokio::test]
async fn without_a_readable_file_of_targets_the_link_is_unavailable() {
    if !python() {
        return;
    }
    let example = Example::start("apprise_link.py").await;
    let notice = json!({"type": "notice", "delivery": "d-1", "to": "ana", "text": "so", "answer_url": null});
    let url: Value = example.url().into();
    let targets = example.folder.path().join("targets.json");
    for content in [Some("{not json"), Some("[]"), Some("\u{e4}{"), None] {
        match content {
            Some(content) => fs::write(&targets, content).unwrap(),
            None => fs::remove_file(&targets).unwrap(),
        }
        let answer = PlugIn::tell(&url, "notice_d-1", &notice).await;
        assert_eq!((answer.status, &answer.body["error"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
        assert_eq!(answer.body["detail"], "the file of targets cannot be read");
    }
    fs::write(&targets, r#"{"ana": ["ntfy://ana-phone"]}"#).unwrap();
    assert_eq!(PlugIn::tell(&url, "notice_d-1", &notice).await.body, json!({"receipt": "d-1"}));
}
