//! The channel over open sockets. Its provider is the person's own client, which reads, stops reading or is gone; no
//! HTTP is spoken.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures_util::{sink, stream};
use hearback_adapters::websocket::{Client, Incoming, Outgoing, Websocket, sockets::Limits};
use hearback_core::{
    Clock, Result,
    channel::{Address, Capabilities, Channel, ChannelName, Inbound, Inbox, Pending, Reply},
    clock::ManualClock,
    event::Bus,
    feedback::Request,
    id::RequestId,
    layer::Operation,
    limits::Unlimited,
    person::{Reader, UserRef},
    store::{Counts, Created, MemoryStore, NewRequest, Store},
};
use hearback_tests::channel::{
    Applies, Event, Fault, Harness, Heard, Outcome, Proof,
    bench::{channel_name, person},
};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// What the client does with what is written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Reads,
    Stalls,
    IsGone,
}

/// One open socket, as its client has it.
#[derive(Debug)]
struct Socket {
    mode: watch::Sender<Mode>,
    incoming: mpsc::UnboundedSender<Incoming>,
    read: mpsc::UnboundedReceiver<Outgoing>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Sockets {
    channel: Arc<Websocket>,
    store: Arc<MemoryStore>,
    open: Mutex<Option<Socket>>,
    scripted: Mutex<Option<Mode>>,
    read: Mutex<Vec<Value>>,
}

fn websocket(store: Arc<MemoryStore>, bus: Arc<Bus>, clock: Arc<dyn Clock>) -> Websocket {
    Websocket::new(channel_name(), store, bus, clock, Limits { per_reader: 0, total: 0 }, Arc::new(Unlimited))
}

fn parts() -> (Arc<MemoryStore>, Arc<Bus>) {
    let bus = Arc::new(Bus::default());
    (Arc::new(MemoryStore::new(bus.clone())), bus)
}

impl Sockets {
    fn connect(&self, inbox: Arc<dyn Inbox>) -> Socket {
        let mode = watch::Sender::new(Mode::Reads);
        let (incoming, rx) = mpsc::unbounded_channel();
        let (tx, read) = mpsc::unbounded_channel();
        let messages = stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|message| (message, rx)) });
        let writing = (mode.subscribe(), tx);
        let frames = sink::unfold(writing, |(mut mode, tx), frame| async move {
            let now = *mode.wait_for(|mode| *mode != Mode::Stalls).await.map_err(drop)?;
            if now == Mode::IsGone {
                return Err(());
            }
            tx.send(frame).map_err(drop)?;
            Ok((mode, tx))
        });
        let client = Client { user: Some(person()), after: None };
        let ticket = self.channel.admit(Reader::Person(person().id)).unwrap();
        let channel = self.channel.clone();
        let serving = tokio::spawn(async move {
            let (messages, frames) = (Box::pin(messages), Box::pin(frames));
            channel.serve(ticket, client, inbox, messages, frames, Box::pin(pending())).await;
        });
        Socket { mode, incoming, read, serving }
    }

    /// Takes what the client has read by now.
    fn drain(&self) {
        if let Some(socket) = self.open.lock().unwrap().as_mut() {
            while let Ok(frame) = socket.read.try_recv() {
                if let Outgoing::Text(text) = frame {
                    self.read.lock().unwrap().push(serde_json::from_str(&text).unwrap());
                }
            }
        }
    }
}

/// Notes everything: the socket over which the suite answers has the suite's own inbox.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Inbox for Nobody {
    async fn accept(&self, _: Inbound) -> Result<Reply> {
        Ok(Reply::Noted)
    }

    async fn person_at(&self, _: &ChannelName, _: &Address) -> Result<Option<UserRef>> {
        Ok(None)
    }

    async fn request(&self, _: RequestId) -> Result<Option<Arc<Request>>> {
        Ok(None)
    }

    async fn pending(&self, _: &ChannelName, _: &Address, _: usize) -> Result<Option<Pending>> {
        Ok(None)
    }

    async fn counts(&self) -> Result<Counts> {
        Ok(Counts::default())
    }
}

#[async_trait]
impl Harness for Sockets {
    const KIND: &'static str = Websocket::KIND;

    fn variants() -> Vec<Capabilities> {
        let (store, bus) = parts();
        let clock = Arc::new(ManualClock::at(hearback_tests::channel::bench::BEGIN));
        vec![*websocket(store, bus, clock).capabilities()]
    }

    fn inbound() -> Applies {
        Applies::Yes(())
    }

    fn event_ids() -> Applies {
        Applies::No("a socket delivers a message once, and the messages of its clients carry no id")
    }

    fn signatures() -> Applies {
        Applies::No("who is at a socket is proven by a token or a cookie before the channel is given it")
    }

    fn doubt() -> Applies {
        Applies::No("sockets are fed from the log, and so hear of every end")
    }

    async fn open(_: Capabilities, clock: Arc<ManualClock>) -> Self {
        let (store, bus) = parts();
        let channel = Arc::new(websocket(store.clone(), bus, clock));
        Self { channel, store, open: Mutex::default(), scripted: Mutex::default(), read: Mutex::default() }
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.channel.clone()
    }

    fn address(&self, user: &UserRef) -> Address {
        user.id.to_string().parse().unwrap()
    }

    fn secrets(&self) -> Applies<Vec<String>> {
        Applies::No("it has none: the log-in is the server's")
    }

    async fn put(&self, request: Request) -> Arc<Request> {
        self.drain();
        let mode = self.scripted.lock().unwrap().take().unwrap_or(Mode::Reads);
        let ill = self.open.lock().unwrap().take_if(|socket| *socket.mode.borrow() != Mode::Reads);
        if let Some(Socket { serving, .. }) = ill {
            // It has gone by itself, or hangs in a write.
            serving.abort();
            let _ = serving.await;
        }
        let socket = self.open.lock().unwrap().take().unwrap_or_else(|| self.connect(Arc::new(Nobody)));
        // From here on: what comes before, as the greeting of a new socket, is read.
        socket.mode.send_replace(mode);
        *self.open.lock().unwrap() = Some(socket);
        let new = NewRequest { request, deliveries: Vec::new(), idempotency: None };
        match self.store.create(new).await.unwrap() {
            Created::New(request) => request,
            other => panic!("expected a new request, found {other:?}"),
        }
    }

    fn script(&self, operation: Operation, fault: Fault) -> Applies {
        let mode = match (operation, fault) {
            (Operation::Send, Fault::Hang) => Mode::Stalls,
            (Operation::Send, Fault::Cut) => Mode::IsGone,
            (Operation::Send, Fault::Status { .. } | Fault::Echo) => {
                return Applies::No("a person's client answers no write, with a status or anything else");
            }
            (Operation::Settle, _) => {
                return Applies::No("settling calls nobody: the ending's commit feeds the sockets");
            }
            (Operation::Probe | Operation::Link | Operation::Callback, _) => {
                return Applies::No("there is no service to probe");
            }
        };
        *self.scripted.lock().unwrap() = Some(mode);
        Applies::Yes(())
    }

    async fn hanging(&self) {
        // A sending waits from its first poll on: the client has stopped reading by then.
    }

    fn arrived(&self) -> Vec<String> {
        self.drain();
        let read = self.read.lock().unwrap();
        let asked = read.iter().filter(|message| message["type"] == "feedback_request");
        asked.map(|message| message["request"]["prompt"].as_str().unwrap().to_owned()).collect()
    }

    fn calls(&self) -> Applies<usize> {
        Applies::No("a sending makes no call: it waits until the feed of a socket has written it")
    }

    async fn inject(&self, _: &Arc<dyn Channel>, inbox: Arc<dyn Inbox>, event: &Event, _: Proof) -> Heard {
        let mut socket = self.connect(inbox);
        let answer = json!({"type": "feedback_response", "request_id": event.request.id, "value": event.value});
        // Messages are taken one after the other, so the pong says that the answer has been dealt with.
        for message in [answer, json!({"type": "ping"})] {
            socket.incoming.send(Incoming::Text(message.to_string())).unwrap();
        }
        let mut said = Vec::new();
        let outcome = loop {
            match socket.read.recv().await {
                Some(Outgoing::Text(text)) => {
                    said.extend_from_slice(text.as_bytes());
                    let message: Value = serde_json::from_str(&text).unwrap();
                    match (message["type"].as_str(), message["code"].as_str()) {
                        (Some("pong"), _) => break Outcome::Acknowledged,
                        (Some("error"), Some("stopping")) => break Outcome::Again,
                        (Some("error"), _) => break Outcome::Refused,
                        _ => {}
                    }
                }
                Some(Outgoing::Ping) => {}
                Some(Outgoing::Close(..)) | None => break Outcome::Again,
            }
        };
        Heard { outcome, error: None, said }
    }
}

hearback_tests::channel_conformance!(Sockets);
