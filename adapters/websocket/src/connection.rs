//! One socket: its feed from the event log, and what its client says.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use hearback_core::{
    ErrorKind, Result, Retry, Timestamp,
    channel::{Channel, Connection as To, Inbound, Inbox, Receipt, Reply},
    event::{BadCursor, Event, EventId, EventKind, Heard, Listening, Topic},
    feedback::{Status, Verdict},
    hub::Responded,
    id::RequestId,
    limits::{Act, RateLimit, whole_seconds},
    person::UserRef,
};
use tokio::select;

use crate::{
    channel::Websocket,
    protocol::{ClientMessage, ErrorCode, HubMessage},
    sockets::Ticket,
};

/// How many events are read from the log at once.
const PAGE: usize = 100;
/// How often the hub pings a socket.
const PING_EVERY: Duration = Duration::from_secs(30);
/// A socket that has been silent for this long, not even answering pings, is closed.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// A write that takes longer than this closes the socket.
const WRITE_MAX: Duration = Duration::from_secs(20);
/// How long the closing frame may take.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Who is at the other end, proven by token or cookie.
#[derive(Clone, Debug)]
pub struct Client {
    /// The person; `None` for an agent.
    pub user: Option<UserRef>,
    /// The last event it has, if it was connected before.
    pub after: Option<EventId>,
}

/// What comes from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message.
    Text(String),
    /// A message of another type, which this protocol does not have.
    Binary,
    /// A sign of life: a ping or a pong.
    Alive,
}

/// What goes to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A text message.
    Text(String),
    /// A ping of the transport.
    Ping,
    /// The end, with a code of RFC 6455 and a reason.
    Close(u16, &'static str),
}

/// Why a socket ends.
enum End {
    /// The client is gone, or does not read.
    Gone,
    /// The hub closes it.
    Close(u16, &'static str),
}

type Flow<T = ()> = std::result::Result<T, End>;

impl Websocket {
    /// Serves one socket until it closes, or `over` says with which code (RFC 6455) and reason to close it.
    ///
    /// What is asked of a person, or was put by an agent, is written in the order of the log: with `after` everything
    /// since, without it everything pending. The feed listens before it reads, so nothing falls between.
    pub async fn serve(
        &self,
        ticket: Ticket,
        client: Client,
        inbox: Arc<dyn Inbox>,
        incoming: impl Stream<Item = Incoming> + Unpin + Send,
        outgoing: impl Sink<Outgoing> + Unpin + Send,
        over: impl Future<Output = (u16, &'static str)> + Unpin + Send,
    ) {
        let listening = self.bus.listen(Topic::Reader(ticket.reader));
        let heard_at = self.clock.now();
        let cursor = EventId::default();
        let mut connection =
            Connection { websocket: self, ticket, client, inbox, outgoing, listening, cursor, heard_at };
        // Whatever the connection is at, also in the midst of a long backlog: this comes first.
        let end = select! {
            biased;
            (code, reason) = over => End::Close(code, reason),
            Err(end) = connection.run(incoming) => end,
        };
        if let End::Close(code, reason) = end {
            // The client may be gone already.
            let _ = connection.write(Outgoing::Close(code, reason), CLOSE_MAX).await;
        }
        connection.leave().await;
    }
}

struct Connection<'a, O> {
    websocket: &'a Websocket,
    ticket: Ticket,
    client: Client,
    inbox: Arc<dyn Inbox>,
    outgoing: O,
    listening: Listening,
    /// Everything up to here has been written.
    cursor: EventId,
    /// When the client last showed life.
    heard_at: Timestamp,
}

enum Next {
    Incoming(Option<Incoming>),
    Heard(Heard),
    Tick,
}

impl<O: Sink<Outgoing> + Unpin + Send> Connection<'_, O> {
    async fn run(&mut self, mut incoming: impl Stream<Item = Incoming> + Unpin + Send) -> Flow<Infallible> {
        self.begin().await?;
        self.catch_up().await?;
        self.announce().await?;
        let clock = self.websocket.clock.clone();
        let mut tick_at = clock.now().after(PING_EVERY);
        loop {
            let next = select! {
                incoming = incoming.next() => Next::Incoming(incoming),
                heard = self.listening.next() => Next::Heard(heard),
                () = clock.sleep_until(tick_at) => Next::Tick,
            };
            match next {
                Next::Incoming(None) => return Err(End::Gone),
                Next::Incoming(Some(message)) => {
                    self.heard_at = clock.now();
                    self.receive(message).await?;
                }
                Next::Heard(Heard::Event(event)) => self.write_event(&event).await?,
                Next::Heard(Heard::Lagged) => self.catch_up().await?,
                Next::Tick => {
                    tick_at = clock.now().after(PING_EVERY);
                    if clock.now().since(self.heard_at) > SILENCE_MAX {
                        return Err(End::Gone);
                    }
                    self.write(Outgoing::Ping, WRITE_MAX).await?;
                }
            }
        }
    }

    /// Finds the place in the log to begin from, and says it; without one, writes what is pending.
    async fn begin(&mut self) -> Flow {
        let user = self.client.user.clone();
        if let Some(after) = self.client.after {
            let known = self.websocket.store.events(self.ticket.reader, after, 1).await;
            if let Err(bad) = self.stored(known).await? {
                return self.lost(bad).await;
            }
            self.cursor = after;
            self.ticket.wrote(after);
            return self.say(&HubMessage::ConnectionEstablished { after, user }).await;
        }
        let store = &self.websocket.store;
        let head = self.stored(store.head().await).await?;
        let mut page = self.stored(store.pending(self.ticket.reader, EventId::default(), PAGE).await).await?;
        let after = page.first().map_or(head, |first| EventId(first.id.0.saturating_sub(1)).min(head));
        self.say(&HubMessage::ConnectionEstablished { after, user }).await?;
        self.cursor = after;
        // What is newer than the head comes by the log, after everything pending.
        while let Some(last) = page.last().map(|event| event.id) {
            for event in page.iter().filter(|event| event.id <= head) {
                self.write_event(event).await?;
            }
            if last >= head {
                break;
            }
            page = self.stored(store.pending(self.ticket.reader, last, PAGE).await).await?;
        }
        self.cursor = head;
        self.ticket.wrote(head);
        Ok(())
    }

    /// Writes what the log holds after the cursor.
    async fn catch_up(&mut self) -> Flow {
        loop {
            let events = self.websocket.store.events(self.ticket.reader, self.cursor, PAGE).await;
            let events = match self.stored(events).await? {
                Ok(events) => events,
                Err(bad) => return self.lost(bad).await,
            };
            if events.is_empty() {
                return Ok(());
            }
            for event in &events {
                self.write_event(event).await?;
            }
        }
    }

    /// Says why the log cannot be read on from where the client is.
    async fn lost(&mut self, bad: BadCursor) -> Flow {
        self.error(ErrorCode::Cursor, &format!("{bad}: connect without `after`"), None).await?;
        Err(End::Close(
            1008,
            match bad {
                BadCursor::Unknown => "unknown cursor",
                BadCursor::Expired => "expired cursor",
            },
        ))
    }

    /// Tells the hub that this person can be reached now.
    async fn announce(&mut self) -> Flow {
        let Some(user) = &self.client.user else { return Ok(()) };
        let Ok(address) = user.id.to_string().parse() else { return Ok(()) };
        let connected = Inbound::Connected { channel: self.websocket.name().clone(), address, connection: To::Here };
        let accepted = self.inbox.accept(connected).await.map(|_| ());
        self.stored(accepted).await
    }

    /// Gives the place up, and tells the hub when it was this person's last one.
    async fn leave(self) {
        let Self { websocket, ticket, inbox, client, .. } = self;
        let reader = ticket.reader;
        drop(ticket);
        if websocket.is_connected(reader) {
            return;
        }
        let Some(address) = client.user.and_then(|user| user.id.to_string().parse().ok()) else { return };
        let left = Inbound::Disconnected { channel: websocket.name().clone(), address, connection: To::Here };
        if let Err(error) = inbox.accept(left).await {
            // The route goes on when its patience ends, instead of at once.
            tracing::warn!(%error, "that a person left could not be noted");
        }
    }

    async fn receive(&mut self, message: Incoming) -> Flow {
        let text = match message {
            Incoming::Alive => return Ok(()),
            Incoming::Binary => return self.error(ErrorCode::Malformed, "messages are JSON texts", None).await,
            Incoming::Text(text) => text,
        };
        match serde_json::from_str(&text) {
            Ok(ClientMessage::Ping {}) => self.say(&HubMessage::Pong {}).await,
            Ok(ClientMessage::GetRateLimitStatus {}) => self.tell_limits().await,
            Ok(ClientMessage::Ack { event_id }) => self.acknowledge(event_id).await,
            Ok(ClientMessage::FeedbackResponse { request_id, value, comment }) => {
                self.respond(request_id, value, comment).await
            }
            Err(error) => self.error(ErrorCode::Malformed, &error.to_string(), None).await,
        }
    }

    async fn acknowledge(&mut self, event: EventId) -> Flow {
        let Some(user) = &self.client.user else { return Ok(()) };
        let Ok(from) = user.id.to_string().parse() else { return Ok(()) };
        let channel = self.websocket.name().clone();
        let receipt = Receipt::from(event.to_string());
        let noted = self.inbox.accept(Inbound::Acknowledged { channel, from, receipt, read: false }).await.map(|_| ());
        self.stored(noted).await
    }

    async fn respond(&mut self, request: RequestId, value: serde_json::Value, comment: Option<String>) -> Flow {
        let from = self.client.user.as_ref().and_then(|user| user.id.to_string().parse().ok());
        let Some(from) = from else {
            return self.error(ErrorCode::Forbidden, "a service token asks; only people answer", Some(request)).await;
        };
        let channel = self.websocket.name().clone();
        let answer = Inbound::Response { channel, from, request, value, comment, event: None };
        match self.inbox.accept(answer).await {
            Ok(Reply::Response(responded)) => match refusal(&responded) {
                // The feed tells the rest: the request has ended.
                None => Ok(()),
                Some((code, message)) => self.error(code, &message, Some(request)).await,
            },
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.error(ErrorCode::NotFound, "there is no such request", Some(request)).await
            }
            Err(error) if error.kind() == ErrorKind::RateLimited => {
                let wait = match error.retry() {
                    Retry::After(wait) => wait,
                    Retry::Never | Retry::Backoff => Duration::ZERO,
                };
                let (message, retry_after) = (error.detail().into(), whole_seconds(wait));
                self.say(&HubMessage::RateLimitExceeded { request_id: request, message, retry_after }).await
            }
            Err(error) => self.stored(Err(error)).await,
        }
    }

    async fn tell_limits(&mut self) -> Flow {
        let limits = match &self.client.user {
            Some(user) => {
                let act = Act { user: user.id, channel: self.websocket.name().clone(), session: None };
                let standing = self.websocket.limits.standing(&act).await;
                self.stored(standing).await?
            }
            None => Vec::new(),
        };
        let limits = limits.into_iter().map(RateLimit::from).collect();
        self.say(&HubMessage::RateLimitStatus { limits }).await
    }

    async fn write_event(&mut self, event: &Event) -> Flow {
        if event.id <= self.cursor {
            return Ok(());
        }
        let (event_id, request) = (event.id, || Box::new(event.request.as_ref().into()));
        let message = match event.kind {
            EventKind::Created => Some(HubMessage::FeedbackRequest { event_id, request: request() }),
            EventKind::Undeliverable => Some(HubMessage::FeedbackUndeliverable { event_id, request: request() }),
            EventKind::Ended => Some(HubMessage::FeedbackSettled { event_id, request: request() }),
            // The streams of the HTTP API tell these.
            EventKind::Delivery(_) | EventKind::Response(_) => None,
        };
        if let Some(message) = message {
            self.say(&message).await?;
        }
        self.cursor = event.id;
        self.ticket.wrote(event.id);
        Ok(())
    }

    async fn error(&mut self, code: ErrorCode, message: &str, request_id: Option<RequestId>) -> Flow {
        self.say(&HubMessage::Error { code, message: message.into(), request_id }).await
    }

    async fn say(&mut self, message: &HubMessage) -> Flow {
        match serde_json::to_string(message) {
            Ok(text) => self.write(Outgoing::Text(text), WRITE_MAX).await,
            Err(_) => Err(End::Close(1011, "a fault of the hub")),
        }
    }

    async fn write(&mut self, frame: Outgoing, within: Duration) -> Flow {
        let clock = self.websocket.clock.clone();
        let until = clock.now().after(within);
        select! {
            biased;
            written = self.outgoing.send(frame) => written.map_err(|_| End::Gone),
            () = clock.sleep_until(until) => Err(End::Gone),
        }
    }

    /// What the store said; when it fails, the client is told to come again, since it would miss something.
    async fn stored<T>(&mut self, result: Result<T>) -> Flow<T> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                tracing::error!(%error, "a socket is closed because the store failed");
                self.error(ErrorCode::Stopping, "the hub's database does not answer: connect again", None).await?;
                Err(End::Close(1013, "try again"))
            }
        }
    }
}

/// What is said of a response that was not accepted.
fn refusal(responded: &Responded) -> Option<(ErrorCode, String)> {
    let response = &responded.recorded.response;
    let code = match response.verdict {
        Verdict::Accepted => return None,
        Verdict::Invalid => ErrorCode::Invalid,
        Verdict::Refused => ErrorCode::Forbidden,
        Verdict::Late => match responded.recorded.request.state.status() {
            Status::Expired => ErrorCode::Expired,
            Status::Cancelled => ErrorCode::Cancelled,
            Status::Pending | Status::Answered => ErrorCode::Late,
        },
    };
    Some((code, response.reason.clone().unwrap_or_default()))
}
