//! The webhook channel before a plug-in over real HTTP that does what it is told to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use hearback_adapters::webhook::{
    Webhook,
    signature::{ID, Key, SIGNATURE, TIMESTAMP, seconds},
};
use hearback_core::{
    Clock,
    channel::{Address, Callback, Capabilities, Channel, Inbox, Parts, SendRate},
    clock::ManualClock,
    feedback::Request,
    layer::Operation,
    person::UserRef,
    secret::Secret,
    vault::MemoryVault,
};
use hearback_tests::channel::{
    Applies, Event, Fault, Harness, Heard, Proof,
    bench::{SEND_TIMEOUT, channel_name},
    call_back,
};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SOMEBODY_ELSES: &str = "whsec_bm90IHRoZSBzZWNyZXQgb2YgdGhlIGh1Yg==";
/// What many services take in a URL instead of a header.
const IN_THE_URL: &str = "key-of-the-url-5cK1";

#[derive(Debug)]
struct Plugin {
    capabilities: Value,
    /// What goes wrong with the next call of an operation.
    faults: Mutex<HashMap<Operation, Fault>>,
    calls: Mutex<Vec<Value>>,
    arrived: Mutex<Vec<String>>,
    hanging: Notify,
}

/// A call as it came.
struct Call {
    head: String,
    body: Value,
}

impl Call {
    /// Everything secret that it came with, and its own.
    fn echo(&self) -> String {
        let address = self.head.lines().next().unwrap_or_default().split(' ').nth(1).unwrap_or_default();
        let code = self.body["code"].as_str().unwrap_or_default();
        format!("{address}: {SECRET} is right, {code} is to be shown")
    }
}

impl Plugin {
    async fn listen(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().serve(stream));
        }
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let Some(call) = read(&mut stream).await else { return };
        self.calls.lock().unwrap().push(call.body.clone());
        let operation = match call.body["type"].as_str() {
            Some("probe") => Operation::Probe,
            Some("settle") => Operation::Settle,
            _ => Operation::Send,
        };
        let fault = self.faults.lock().unwrap().remove(&operation);
        let (status, header, body) = match fault {
            None => (200, String::new(), self.take(operation, &call.body)),
            Some(Fault::Status { status, retry_after }) => {
                let header =
                    retry_after.map(|after| format!("retry-after: {}\r\n", after.as_secs())).unwrap_or_default();
                (status, header, json!({"detail": call.echo()}))
            }
            Some(Fault::Echo) => (200, String::new(), json!({"capabilities": call.echo(), "receipt": [call.echo()]})),
            Some(Fault::Cut) => return,
            Some(Fault::Hang) => {
                self.hanging.notify_one();
                return std::future::pending().await;
            }
        };
        let (body, reason) = (body.to_string(), "x");
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} {reason}\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        // The hub may have given up.
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    fn take(&self, operation: Operation, body: &Value) -> Value {
        match operation {
            Operation::Probe => json!({"capabilities": self.capabilities}),
            Operation::Send => {
                let text =
                    [&body["request"]["prompt"], &body["text"], &body["code"]].into_iter().find_map(Value::as_str);
                let mut arrived = self.arrived.lock().unwrap();
                arrived.push(text.unwrap().to_owned());
                json!({"receipt": format!("message-{}", arrived.len())})
            }
            Operation::Link | Operation::Settle | Operation::Callback => json!({}),
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Call> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Call { head, body: serde_json::from_slice(&bytes[end..]).unwrap() })
}

#[derive(Debug)]
struct PlugIn {
    channel: Arc<dyn Channel>,
    plugin: Arc<Plugin>,
    clock: Arc<ManualClock>,
}

#[async_trait]
impl Harness for PlugIn {
    const KIND: &'static str = Webhook::KIND;

    fn variants() -> Vec<Capabilities> {
        let least = Capabilities { messages: true, ..Capabilities::default() };
        let narrow = Capabilities {
            inbound: true,
            text_max: Some(200),
            choices_max: Some(5),
            send_rate: Some(SendRate { per_second: 1, burst: 1 }),
            ..least
        };
        let wide = Capabilities {
            buttons: true,
            forms: true,
            edit: true,
            threads: true,
            inbound: true,
            receipts: true,
            ..least
        };
        vec![least, narrow, wide, Capabilities { idempotent_send: true, ..wide }]
    }

    fn inbound() -> Applies {
        Applies::Yes(())
    }

    fn event_ids() -> Applies {
        Applies::Yes(())
    }

    fn signatures() -> Applies {
        Applies::Yes(())
    }

    fn doubt() -> Applies {
        Applies::Yes(())
    }

    async fn open(capabilities: Capabilities, clock: Arc<ManualClock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut declared = serde_json::to_value(capabilities).unwrap();
        // No settings: a plug-in knows people by addresses that they confirm, and carries whatever it is sent.
        for fixed in ["account_addresses", "messages", "links", "address_rate"] {
            declared.as_object_mut().unwrap().remove(fixed);
        }
        let plugin = Arc::new(Plugin {
            capabilities: declared.clone(),
            faults: Mutex::default(),
            calls: Mutex::default(),
            arrived: Mutex::default(),
            hanging: Notify::new(),
        });
        tokio::spawn(plugin.clone().listen(listener));
        let parts = Parts {
            clock: clock.clone(),
            vault: Arc::new(MemoryVault::default()),
            callbacks_url: "https://hub.example/api/channels/".into(),
            public_url: "https://hub.example/".into(),
            outbound_allow: "127.0.0.0/8".parse().unwrap(),
            send_timeout: SEND_TIMEOUT,
        };
        let url = format!("http://127.0.0.1:{port}/hook?key={IN_THE_URL}");
        let settings = json!({"kind": Self::KIND, "url": url, "secret": SECRET, "capabilities": declared});
        let channel = hearback_adapters::configurable().build(channel_name().as_str(), settings, &parts).unwrap();
        Self { channel, plugin, clock }
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.channel.clone()
    }

    fn address(&self, user: &UserRef) -> Address {
        user.username.parse().unwrap()
    }

    fn secrets(&self) -> Applies<Vec<String>> {
        Applies::Yes(vec![SECRET.into(), SECRET.trim_start_matches("whsec_").into(), IN_THE_URL.into()])
    }

    async fn put(&self, request: Request) -> Arc<Request> {
        Arc::new(request)
    }

    fn script(&self, operation: Operation, fault: Fault) -> Applies {
        if (operation, fault) == (Operation::Settle, Fault::Echo) {
            return Applies::No("whatever it says with a 2xx, it has settled");
        }
        self.plugin.faults.lock().unwrap().insert(operation, fault);
        Applies::Yes(())
    }

    async fn hanging(&self) {
        self.plugin.hanging.notified().await;
    }

    fn arrived(&self) -> Vec<String> {
        self.plugin.arrived.lock().unwrap().clone()
    }

    fn calls(&self) -> Applies<usize> {
        Applies::Yes(self.plugin.calls.lock().unwrap().len())
    }

    async fn inject(&self, channel: &Arc<dyn Channel>, inbox: Arc<dyn Inbox>, event: &Event, proof: Proof) -> Heard {
        let body = json!({
            "type": "response", "request_id": event.request.id, "from": event.from, "value": event.value,
        });
        let body = body.to_string();
        let secret = if proof == Proof::Good { SECRET } else { SOMEBODY_ELSES };
        let time = seconds(self.clock.now().after(Duration::from_secs(1)));
        let signature = Key::parse(&Secret::from(secret)).unwrap().sign(&event.id, time, body.as_bytes());
        let pairs = [(ID, event.id.clone()), (TIMESTAMP, time.to_string()), (SIGNATURE, signature)];
        let headers: HeaderMap = pairs.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
        let (tail, query, body) = (Webhook::TAIL.into(), String::new(), body.into());
        call_back(channel, Callback { method: Method::POST, tail, query, headers, body }, inbox).await
    }
}

hearback_tests::channel_conformance!(PlugIn);
