//! Calls of providers and plug-ins to `/api/channels/{name}/{tail}`, handed to the channel as they came.
//!
//! The hub knows nobody here: the channel's adapter verifies the signature, over the raw body. A call runs to its end
//! even when the caller hangs up half-way, since what it brought may be stored by then.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use hearback_core::{
    Error, ErrorKind, Result as CoreResult,
    channel::{Callback, CallbackReply, Channel, ChannelName, Inbox},
    error::Retry,
};
use http::{HeaderMap, Method, StatusCode, header};
use poem::{Body, FromRequest, IntoResponse, Request, RequestBody, Response};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, OpenApi,
    param::Path,
    registry::{MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;

use super::{
    Tag,
    body::read_bytes,
    problem::{CONTENT_TYPE, Chain, Problem, ProblemKind},
};
use crate::app::App;

/// The path of the operations, as the document writes it.
pub(super) const PATH: &str = "/api/channels/{name}/{tail}";
/// The tails that are the hub's own, on every channel. They never reach an adapter.
const RESERVED: [&str; 5] = ["status", "auth", "callback", "disconnect", "test"];
/// How long until a caller may try again where the adapter does not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const ANY: &str = "*/*";

/// Whether a path, below the prefix, is one where channels take calls. No cookie counts there, so the rules for pages of
/// other origins do not either. A path that is written in another way than plainly is none.
pub(super) fn is_callback(path: &str) -> bool {
    let rest = path.strip_prefix("/api/channels/").and_then(|rest| rest.split_once('/'));
    rest.is_some_and(|(name, tail)| {
        !name.is_empty() && !tail.is_empty() && !tail.contains(['/', '%']) && !RESERVED.contains(&tail)
    })
}

/// A call as it came.
#[derive(Debug)]
pub struct Raw {
    method: Method,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A call as it came, of a method whose body the document speaks of.
#[derive(Debug)]
pub struct RawBody(Raw);

impl<'a> FromRequest<'a> for Raw {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self {
            method: request.method().clone(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
            body: read_bytes(body).await?,
        })
    }
}

impl<'a> ApiExtractor<'a> for RawBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let description = Some("Whatever the adapter's provider sends, at most 1 MiB.");
        Some(MetaRequest { description, content: vec![anything()], required: false })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        <Raw as FromRequest>::from_request(request, body).await.map(Self)
    }
}

fn anything() -> MetaMediaType {
    let schema = MetaSchema::new_with_format("string", "binary");
    MetaMediaType { content_type: ANY, schema: MetaSchemaRef::Inline(Box::new(schema)) }
}

/// The adapter's answer.
pub struct Called(CallbackReply, Sent);

/// Goes with an answer. When the last clone is dropped the answer has gone out, or never will.
#[derive(Clone)]
struct Sent(#[expect(dead_code, reason = "it is there to be dropped")] Arc<DropGuard>);

impl fmt::Debug for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl IntoResponse for Called {
    fn into_response(self) -> Response {
        let Self(reply, sent) = self;
        let mut response = response(reply);
        response.set_data(sent);
        response
    }
}

/// An adapter's answer as it goes out, but for the work after it.
pub(crate) fn response(reply: CallbackReply) -> Response {
    let CallbackReply { status, content_type, headers, body, after: _ } = reply;
    let mut response = Response::builder().status(status).body(body);
    response.headers_mut().extend(headers);
    if let Some(content_type) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response
}

/// Adds the `request_id` to a problem of an adapter's, which cannot know it: all problems are alike then.
pub(super) async fn name_problem(request_id: &str, response: &mut Response) {
    if response.data::<Sent>().is_none() || response.content_type() != Some(CONTENT_TYPE) {
        return;
    }
    // The answers of adapters are in memory already.
    let body = response.take_body().into_bytes().await.unwrap_or_default();
    let problem = serde_json::from_slice(&body).map(|mut problem: Map<String, Value>| {
        problem.entry("request_id").or_insert_with(|| request_id.into());
        Value::Object(problem).to_string()
    });
    match problem {
        Ok(problem) => response.set_body(problem),
        // What is no object stays as its adapter wrote it.
        Err(_) => response.set_body(body),
    }
}

/// Lets the work after an answer begin when its body has been written. Called once nothing else changes the body.
pub(super) async fn tell_when_sent(method: &Method, response: &mut Response) {
    let Some(sent) = response.extensions_mut().remove::<Sent>() else { return };
    // The answers of adapters are in memory already.
    let body = response.take_body().into_bytes().await.unwrap_or_default();
    let bodiless = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !bodiless && *method != Method::HEAD {
        response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
    }
    // The stream owns `sent`, and the server drops it with the last byte or with the connection.
    let whole = stream::unfold((Some(body), sent), |(body, sent)| async move {
        let body = body.filter(|body| !body.is_empty())?;
        Some((Ok::<_, std::io::Error>(body), (None, sent)))
    });
    response.set_body(Body::from_bytes_stream(whole));
}

impl ApiResponse for Called {
    fn meta() -> MetaResponses {
        let response = |status, description| MetaResponse {
            description,
            status,
            status_range: None,
            content: vec![MetaMediaType {
                content_type: ANY,
                // No type at all: it may be JSON of any shape, or none.
                schema: MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)),
            }],
            headers: Vec::new(),
        };
        let taken = response(Some(200), "The adapter's answer, in its provider's manner.");
        let other = response(None, "The adapter's answer with another status, in its provider's manner.");
        MetaResponses { responses: vec![taken, other] }
    }

    fn register(_: &mut Registry) {}
}

/// The calls of providers and plug-ins.
pub struct CallbacksApi(pub Arc<App>);

impl CallbacksApi {
    async fn call(&self, name: &str, tail: String, raw: Raw) -> Result<Called, Problem> {
        if RESERVED.contains(&tail.as_str()) {
            return Err(Problem::not_found("There is nothing at this path."));
        }
        let name: Option<ChannelName> = name.parse().ok();
        let running = name.and_then(|name| self.0.hub.channels().get(&name).cloned());
        let running = running.ok_or_else(|| Problem::not_found("There is no channel of this name."))?;
        let Raw { method, query, headers, body } = raw;
        let call = Callback { method, tail, query, headers, body };
        let (tx, answer) = oneshot::channel();
        let work = run(running.channel().clone(), call, self.0.hub.clone(), tx);
        self.0.callbacks.spawn(work.in_current_span());
        // It goes unanswered when the adapter panicked, which is in the log.
        answer.await.map_err(|_| Problem::internal())?.map_err(|error| problem(&error))
    }
}

/// One call from its beginning to the end of the work after its answer.
async fn run(
    channel: Arc<dyn Channel>,
    call: Callback,
    inbox: Arc<dyn Inbox>,
    answer: oneshot::Sender<CoreResult<Called>>,
) {
    let result = channel.callback(call, inbox).await;
    let sent = CancellationToken::new();
    let mut after = None;
    let called = result.map(|mut reply| {
        after = reply.after.take();
        Called(reply, Sent(Arc::new(sent.clone().drop_guard())))
    });
    // A caller that has hung up drops the answer, and so lets the work after it begin.
    drop(answer.send(called));
    if let Some(after) = after {
        sent.cancelled().await;
        after.await;
    }
}

/// What the caller is told. The adapters' words are safe to show; those of a fault of the hub help nobody outside.
fn problem(error: &Error) -> Problem {
    let detail = || format!("The channel refuses this call: {}.", error.detail());
    let after = match error.retry() {
        Retry::After(wait) => wait,
        Retry::Never | Retry::Backoff => RETRY_AFTER,
    };
    match error.kind() {
        ErrorKind::Unsupported => Problem::not_found("This channel takes no calls."),
        ErrorKind::NotFound => Problem::not_found(detail()),
        // No token of the hub's would help, so that no challenge asks for one.
        ErrorKind::Auth => Problem::new(ProblemKind::Unauthenticated, detail()),
        ErrorKind::Rejected => Problem::new(ProblemKind::Invalid, detail()),
        ErrorKind::RateLimited => Problem::new(ProblemKind::TooManyRequests, detail()).with_retry_after(after),
        ErrorKind::Unavailable | ErrorKind::Ambiguous => {
            tracing::error!(error = %Chain(error), "a call to a channel cannot be taken");
            let detail = "The hub cannot take this call now. Send it again shortly.";
            Problem::new(ProblemKind::Unavailable, detail).with_retry_after(after)
        }
        ErrorKind::Config | ErrorKind::Unexpected => {
            tracing::error!(error = %Chain(error), "a fault of the hub");
            Problem::internal()
        }
    }
}

#[OpenApi(prefix_path = "/api/channels", tag = "Tag::Channels")]
impl CallbacksApi {
    /// Call a channel with GET
    ///
    /// For the providers and plug-ins of a channel: its adapter verifies the call and answers it. Some providers verify an
    /// address this way.
    #[oai(path = "/:name/:tail", method = "get", operation_id = "call_channel_get")]
    async fn get(
        &self,
        /// The channel.
        name: Path<String>,
        /// What is called, in words of the adapter.
        tail: Path<String>,
        raw: Raw,
    ) -> Result<Called, Problem> {
        self.call(&name.0, tail.0, raw).await
    }

    /// Call a channel with POST
    ///
    /// For the providers and plug-ins of a channel: its adapter verifies the signature over the raw body and answers.
    #[oai(path = "/:name/:tail", method = "post", operation_id = "call_channel")]
    async fn post(
        &self,
        /// The channel.
        name: Path<String>,
        /// What is called, in words of the adapter.
        tail: Path<String>,
        raw: RawBody,
    ) -> Result<Called, Problem> {
        self.call(&name.0, tail.0, raw.0).await
    }

    /// Call a channel with PUT
    ///
    /// As with POST.
    #[oai(path = "/:name/:tail", method = "put", operation_id = "call_channel_put")]
    async fn put(
        &self,
        /// The channel.
        name: Path<String>,
        /// What is called, in words of the adapter.
        tail: Path<String>,
        raw: RawBody,
    ) -> Result<Called, Problem> {
        self.call(&name.0, tail.0, raw.0).await
    }

    /// Call a channel with DELETE
    ///
    /// As with POST, without a body.
    #[oai(path = "/:name/:tail", method = "delete", operation_id = "call_channel_delete")]
    async fn delete(
        &self,
        /// The channel.
        name: Path<String>,
        /// What is called, in words of the adapter.
        tail: Path<String>,
        raw: Raw,
    ) -> Result<Called, Problem> {
        self.call(&name.0, tail.0, raw).await
    }
}

#[cfg(test)]
mod tests;
