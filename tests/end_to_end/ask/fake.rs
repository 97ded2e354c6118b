//! A hub that answers by a script, down to cut connections, and keeps what it was asked.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, timeout},
};

/// Longer than any call takes to arrive, so that one that never does fails the test.
const BOUND: Duration = Duration::from_secs(20);

/// What the fake does with a call.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Answers with this status, these headers and this body.
    Answer(u16, &'static str, Value),
    /// Closes the connection without an answer.
    Cut,
    /// Never answers.
    Hold,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self::Answer(200, "", body)
    }

    pub(super) fn created(body: Value) -> Self {
        Self::Answer(201, "", body)
    }
}

/// One call as it arrived.
#[derive(Debug)]
pub(super) struct Call {
    /// The method and the path with its query, as `GET /api/feedback`.
    pub(super) line: String,
    /// By lower-case name.
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Value,
    pub(super) at: Instant,
}

/// The hub.
pub(super) struct FakeHub {
    pub(super) address: SocketAddr,
    calls: mpsc::UnboundedReceiver<Call>,
}

impl FakeHub {
    /// A hub on a free port that gives these replies in turn, and none after them.
    pub(super) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), script).await
    }

    pub(super) async fn start_at(address: SocketAddr, script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let (tx, calls) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), tx.clone()));
            }
        });
        Self { address, calls }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next call.
    pub(super) async fn call(&mut self) -> Call {
        timeout(BOUND, self.calls.recv()).await.expect("a call arrives").unwrap()
    }

    /// The method, path and query of the next call.
    pub(super) async fn line(&mut self) -> String {
        self.call().await.line
    }

    /// Whether a call arrived that was not looked at.
    pub(super) fn was_called_again(&mut self) -> bool {
        self.calls.try_recv().is_ok()
    }
}

/// Reads one call and gives one reply; the program comes again on a connection of its own.
async fn serve(stream: TcpStream, script: Arc<Mutex<VecDeque<Reply>>>, calls: mpsc::UnboundedSender<Call>) {
    let mut stream = BufReader::new(stream);
    let Some(call) = read(&mut stream).await else { return };
    let reply = script.lock().unwrap().pop_front().unwrap_or(Reply::Hold);
    // A test that has seen enough drops its end.
    let _ = calls.send(call);
    match reply {
        Reply::Answer(status, headers, body) => {
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} Status\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
            let _ = stream.write_all((head + &body).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Reply::Cut => {}
        Reply::Hold => std::future::pending().await,
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let (first, headers) = lines.split_first()?;
    let headers: HashMap<_, _> = headers
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(Call {
        line: first.strip_suffix(" HTTP/1.1")?.to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        at: Instant::now(),
    })
}
