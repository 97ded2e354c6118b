//! A plug-in over real HTTP that does what it is told to, and an inbox that does.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use hearback_core::{
    Error, ErrorKind, Result,
    channel::{About, Address, ChannelName, Inbound, Inbox, Pending, Recorded, Reply},
    feedback::{Request, Response, Verdict},
    hub::Responded,
    id::RequestId,
    person::UserRef,
    store::Counts,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What the plug-in does with the next call.
#[derive(Clone, Debug)]
pub enum Script {
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Half an answer's body, and the end.
    Half,
    Cut,
    Hang,
}

pub fn answer(status: u16, body: &Value) -> Script {
    Script::Answer(status, Vec::new(), body.to_string())
}

/// A call as it came.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Call {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Handler = dyn Fn(&Call) -> Script + Send + Sync;

pub struct Plugin {
    pub port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Plugin {
    /// Does these one after another; the last one for ever.
    pub async fn scripted(script: impl IntoIterator<Item = Script>) -> Self {
        let script: Mutex<VecDeque<Script>> = Mutex::new(script.into_iter().collect());
        Self::handled(move |_| {
            let mut script = script.lock();
            if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() }
        })
        .await
    }

    pub async fn handled(handler: impl Fn(&Call) -> Script + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let (kept, handler): (_, Arc<Handler>) = (calls.clone(), Arc::new(handler));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, kept.clone(), handler.clone()));
            }
        });
        Self { port, calls }
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?key=of-the-query", self.port)
    }
}

async fn serve(mut stream: TcpStream, calls: Arc<Mutex<Vec<Call>>>, handler: Arc<Handler>) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.into()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + length {
        stream.read_buf(&mut bytes).await.unwrap();
    }
    let call = Call { path, headers, body: bytes[end..].to_vec() };
    let script = handler(&call);
    calls.lock().push(call);
    match script {
        Script::Answer(status, headers, body) => {
            let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let headers = headers.concat();
            let length = body.len();
            let text =
                format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
            let _ = stream.write_all(text.as_bytes()).await;
        }
        Script::Half => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"receipt").await;
        }
        Script::Cut => {}
        Script::Hang => std::future::pending().await,
    }
}

/// Keeps what it is told, one of each event id; a person is at the address that is their name.
#[derive(Debug)]
pub struct TestInbox {
    pub request: Arc<Request>,
    pub verdict: Mutex<Verdict>,
    pub fails: Mutex<Option<ErrorKind>>,
    pub events: Mutex<Vec<Inbound>>,
    known: Mutex<HashMap<String, Responded>>,
}

impl TestInbox {
    pub fn of(request: Arc<Request>) -> Arc<Self> {
        Arc::new(Self {
            request,
            verdict: Mutex::new(Verdict::Accepted),
            fails: Mutex::default(),
            events: Mutex::default(),
            known: Mutex::default(),
        })
    }

    fn respond(&self, from: &str, id: &str, value: Value) -> Responded {
        if let Some(known) = self.known.lock().get(id) {
            let mut known = known.clone();
            known.recorded.duplicate = true;
            return known;
        }
        let by = self.request.terms.to.iter().find(|user| user.username == from).cloned();
        let bystander = UserRef { id: uuid::Uuid::max().into(), username: from.into() };
        let verdict = if by.is_some() { *self.verdict.lock() } else { Verdict::Refused };
        let response = Response {
            id: uuid::Uuid::nil().into(),
            request_id: self.request.id,
            by: by.or(Some(bystander)),
            channel: "hook".parse().unwrap(),
            value,
            comment: None,
            verdict,
            reason: (verdict != Verdict::Accepted).then(|| "because".into()),
            at: self.request.created_at,
        };
        let recorded = Recorded { response, request: self.request.clone(), duplicate: false };
        let faults = vec![hearback_core::error::FieldError::new("value", "not one of the allowed values")];
        let responded = Responded { recorded, faults };
        self.known.lock().insert(id.into(), responded.clone());
        responded
    }
}

#[async_trait]
impl Inbox for TestInbox {
    async fn accept(&self, event: Inbound) -> Result<Reply> {
        if let Some(kind) = *self.fails.lock() {
            return Err(Error::new(kind, "inbox.test", "as scripted"));
        }
        self.events.lock().push(event.clone());
        match event {
            Inbound::Response { request, .. } | Inbound::Text { about: About::Request(request), .. }
                if request != self.request.id =>
            {
                Err(Error::new(ErrorKind::NotFound, "inbox.test", format!("there is no request {request}")))
            }
            Inbound::Response { from, value, event, .. } => {
                Ok(Reply::Response(Box::new(self.respond(from.as_str(), &event.unwrap(), value))))
            }
            Inbound::Text { from, text, event, .. } => {
                Ok(Reply::Response(Box::new(self.respond(from.as_str(), &event.unwrap(), text.into()))))
            }
            _ => Ok(Reply::Noted),
        }
    }

    async fn person_at(&self, _: &ChannelName, from: &Address) -> Result<Option<UserRef>> {
        Ok(self.request.terms.to.iter().find(|user| user.username == from.as_str()).cloned())
    }

    async fn request(&self, id: RequestId) -> Result<Option<Arc<Request>>> {
        Ok(Some(self.request.clone()).filter(|request| request.id == id))
    }

    async fn pending(&self, _: &ChannelName, _: &Address, _: usize) -> Result<Option<Pending>> {
        Ok(None)
    }

    async fn counts(&self) -> Result<Counts> {
        Ok(Counts::default())
    }
}
