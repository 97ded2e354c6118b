//! `GET /ws`: from an HTTP call to a socket of the websocket adapter.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt, future, sink};
use hearback_adapters::websocket::{AdmissionError, Client, Incoming, Outgoing};
use hearback_core::{error::FieldError, event::EventId};
use poem::{
    Endpoint, FromRequest, IntoResponse, Request, Response,
    http::{HeaderMap, header},
    web::websocket::{CloseCode, Message, WebSocket},
};
use tokio::select;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::problem::{Problem, ProblemKind};
use crate::{app::App, auth::Principal};

/// An idle socket costs what its buffers cost: the library's default of 128 KiB is for streams of large messages.
const BUFFER: usize = 4 * 1024;
/// The largest message from a client, as for a body.
const MESSAGE_MAX: usize = 1024 * 1024;
/// How much may wait to be written before the feed waits for the client.
const WRITE_BUFFER_MAX: usize = 4 * 1024 * 1024;

/// Admits clients and hands their sockets to the adapter.
pub(super) struct Socket(pub(super) Arc<App>);

impl Endpoint for Socket {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let upgrade = WebSocket::from_request_without_body(&request).await;
        Ok(admit(self.0.clone(), &request, upgrade).await?)
    }
}

async fn admit(app: Arc<App>, request: &Request, upgrade: poem::Result<WebSocket>) -> Result<Response, Problem> {
    if app.stopping.is_cancelled() {
        return Err(Problem::stopping());
    }
    let over = app.auth.over();
    let principal = authenticate(&app, request).await?;
    let after = cursor(request)?;
    let upgrade = upgrade.map_err(|_| {
        Problem::malformed("This path takes a WebSocket handshake: GET with Upgrade: websocket, version 13.")
    })?;
    let ticket = app.websocket.admit(principal.reader()).map_err(refused)?;
    let user = match &principal {
        Principal::Person(person) => Some(person.user_ref()),
        Principal::Agent(_) => None,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    let serve = move |stream: poem::web::websocket::WebSocketStream| async move {
        let (outgoing, incoming) = stream.split();
        let incoming = incoming
            .take_while(|message| future::ready(message.as_ref().is_ok_and(|message| !message.is_close())))
            .filter_map(|message| future::ready(message.ok().map(read)));
        let outgoing = sink::unfold(outgoing, |mut outgoing, frame| async move {
            outgoing.send(write(frame)).await?;
            Ok::<_, std::io::Error>(outgoing)
        });
        let client = Client { user, after };
        let _open = app.sockets.token();
        let over = Box::pin(async {
            select! {
                () = app.stopping.cancelled() => (1001, "the hub is stopping"),
                problem = app.auth.until_over(&principal, over) => match problem.kind() {
                    ProblemKind::Unauthenticated => (1008, "the token or sign-in is no longer valid"),
                    _ => (1013, "the hub cannot tell whether the token is still valid: try again shortly"),
                },
            }
        });
        let (incoming, outgoing) = (Box::pin(incoming), Box::pin(outgoing));
        app.websocket.serve(ticket, client, app.hub.clone(), incoming, outgoing, over).await;
    };
    // The token in `Sec-WebSocket-Protocol: bearer, TOKEN` is not sent back: only the word before it is chosen.
    Ok(upgrade.config(config).protocols(["bearer"]).on_upgrade(serve).into_response())
}

/// A bearer token in the `Authorization` header or, for browsers, which cannot set one, in `Sec-WebSocket-Protocol`; else
/// the page's cookie, which needs a known origin: a browser sends it along with any page's handshake.
async fn authenticate(app: &App, request: &Request) -> Result<Principal, Problem> {
    let headers = request.headers();
    if headers.contains_key(header::AUTHORIZATION) {
        return app.auth.authenticate(request).await;
    }
    if let Some(token) = protocol_token(headers) {
        return app.auth.authenticate_bearer(token).await;
    }
    let principal = app.auth.authenticate(request).await?;
    app.auth.origins.require_known(headers)?;
    Ok(principal)
}

/// The token of `Sec-WebSocket-Protocol: bearer, TOKEN`.
fn protocol_token(headers: &HeaderMap) -> Option<&str> {
    let protocols = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let (scheme, token) = protocols.split_once(',')?;
    (scheme.trim() == "bearer").then(|| token.trim())
}

fn cursor(request: &Request) -> Result<Option<EventId>, Problem> {
    let query = request.uri().query().unwrap_or_default();
    let Some((_, after)) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "after") else {
        return Ok(None);
    };
    after.parse().map(Some).map_err(|_| {
        let fault = FieldError::new("after", "expected the last `event_id` that the client has, or none");
        Problem::malformed("`after` is not an event_id.").with_errors(vec![fault])
    })
}

fn refused(error: AdmissionError) -> Problem {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let detail = format!("{}{}.", first.collect::<String>(), letters.as_str());
    Problem::new(ProblemKind::TooManyRequests, detail).with_retry_after(Duration::from_secs(10))
}

fn read(message: Message) -> Incoming {
    match message {
        Message::Text(text) => Incoming::Text(text),
        Message::Binary(_) => Incoming::Binary,
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Incoming::Alive,
    }
}

fn write(frame: Outgoing) -> Message {
    match frame {
        Outgoing::Text(text) => Message::text(text),
        Outgoing::Ping => Message::ping(Vec::new()),
        Outgoing::Close(code, reason) => Message::close_with(CloseCode::from(code), reason),
    }
}
