//! What surrounds every operation: the request id, the log line, the origin check, problems for every error, and the
//! headers that every answer has.

mod compression;
mod cors;
mod errors;
mod headers;
mod heads;

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method};
use poem::{Endpoint, IntoResponse, PathPattern, Request, Response, Result};
use tracing::Instrument;
use uuid::Uuid;

use super::{body, callbacks, problem::Problem};
use crate::{app::App, auth};

pub(super) use errors::Allowed;

const REQUEST_ID: &str = "x-request-id";
/// The longest id that is taken over from a caller.
const REQUEST_ID_MAX: usize = 128;
/// The longest word of an unknown path that is logged, and how many.
const WORD_MAX: usize = 20;
const SEGMENTS_MAX: usize = 8;

/// An endpoint with all that surrounds it.
pub(super) struct Surrounded<E> {
    inner: E,
    app: Arc<App>,
    allowed: Allowed,
}

impl<E> Surrounded<E> {
    /// Surrounds an endpoint that takes the `allowed` methods.
    pub(super) fn new(inner: E, app: Arc<App>, allowed: Allowed) -> Self {
        Self { inner, app, allowed }
    }
}

impl<E: Endpoint> Endpoint for Surrounded<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let started = Instant::now();
        let id = request_id(request.headers()).unwrap_or_else(|| self.app.ids.next::<Uuid>().to_string());
        let span = tracing::info_span!("request", request_id = %id);
        let said = Said::of(&request);
        request.set_data(self.app.clone());

        async {
            let result = match self.refuse(&request) {
                Err(problem) => Err(problem.into()),
                Ok(()) => match cors::preflight(&self.app.auth.origins, &request) {
                    Some(answer) => Ok(answer),
                    // Before anybody is asked who they are: what is known of them is to hold when the call is done, and a
                    // body may take its time.
                    None => match body::arrive(&mut request).await {
                        Ok(()) => guarded(&self.inner, request).await,
                        Err(problem) => Err(problem.into()),
                    },
                },
            };
            let pattern = pattern(&result);
            let mut response = match result {
                Ok(response) => response,
                Err(error) => errors::answer(error, &said, pattern.as_deref(), &self.allowed, &id),
            };
            callbacks::name_problem(&id, &mut response).await;
            compression::compress(&said.headers, &mut response).await;
            callbacks::tell_when_sent(&said.method, &mut response).await;
            headers::add(&said, &mut response);
            headers::add_transport(&self.app.config, &mut response);
            cors::add(&self.app.auth.origins, &said.headers, &mut response);
            if let Ok(id) = HeaderValue::try_from(&id) {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            let path = match pattern.as_deref() {
                Some(pattern) => self.allowed.path(pattern).into(),
                None => shown(&said.path),
            };
            log(&said.method, &path, &response, started.elapsed());
            Ok(response)
        }
        .instrument(span)
        .await
    }
}

impl<E: Endpoint> Surrounded<E> {
    /// Refuses a head that is too large, and what a page of an unknown origin would change, unless it shows a token: no page can make a browser add one;
    /// or a channel is called, where signatures count and cookies do not.
    fn refuse(&self, request: &Request) -> Result<(), Problem> {
        heads::refuse_oversized(request)?;
        let with_token = matches!(auth::bearer(request.headers()), Ok(Some(_)));
        let path = request.uri().path().strip_prefix(&self.app.config.path_prefix).unwrap_or_default();
        if auth::is_safe(request.method()) || with_token || callbacks::is_callback(path) {
            return Ok(());
        }
        self.app.auth.origins.refuse_unknown(request.headers())
    }
}

/// Calls the endpoint; a panic in it is a fault of this call alone.
async fn guarded<E: Endpoint>(endpoint: &E, request: Request) -> Result<Response> {
    match AssertUnwindSafe(endpoint.call(request)).catch_unwind().await {
        Ok(result) => result.map(IntoResponse::into_response),
        // The panic hook has logged what it was.
        Err(_) => Err(Problem::internal().into()),
    }
}

/// What a call said, kept for after it is consumed.
struct Said {
    method: Method,
    path: String,
    headers: HeaderMap,
}

impl Said {
    fn of(request: &Request) -> Self {
        let path = request.original_uri().path().to_owned();
        Self { method: request.method().clone(), path, headers: request.headers().clone() }
    }
}

/// The id that the caller gave, if it is fit for a log.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    (!id.is_empty() && id.len() <= REQUEST_ID_MAX && id.bytes().all(fit)).then(|| id.to_owned())
}

fn pattern(result: &Result<Response>) -> Option<Arc<str>> {
    let pattern = match result {
        Ok(response) => response.data::<PathPattern>(),
        Err(error) => error.data::<PathPattern>(),
    };
    pattern.map(|pattern| pattern.0.clone())
}

/// A path that led to no operation, fit for a log: words alone, since anything longer may be a token that somebody put in
/// the wrong place.
fn shown(path: &str) -> String {
    let word = |segment: &str| {
        let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        segment.len() <= WORD_MAX && segment.bytes().all(fit)
    };
    let segments = path.split('/').take(SEGMENTS_MAX).map(|segment| if word(segment) { segment } else { "…" });
    segments.collect::<Vec<_>>().join("/")
}

/// One line a call: neither headers nor bodies nor the query, which may hold what is secret.
fn log(method: &Method, path: &str, response: &Response, took: Duration) {
    let ms = took.as_secs_f64() * 1000.0;
    tracing::info!(%method, path, status = response.status().as_u16(), ms = format_args!("{ms:.1}"), "answered");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::ProblemKind;

    #[tokio::test]
    async fn a_panic_is_a_fault_of_one_call_and_says_nothing() {
        let endpoint = poem::endpoint::make_sync(|_| -> Response { panic!("a secret") });
        let error = guarded(&endpoint, Request::default()).await.unwrap_err();
        let problem = error.downcast::<Problem>().unwrap();
        assert!(problem.kind() == ProblemKind::Internal && !problem.detail().contains("secret"));
    }

    #[test]
    fn of_an_unknown_path_only_words_are_logged() {
        assert_eq!(shown("/api/auth/me"), "/api/auth/me");
        assert_eq!(shown("/"), "/");
        assert_eq!(shown("/api/hb_c4nary00000000000000000/x"), "/api/…/x");
        assert_eq!(shown("/a%0Ab/x y"), "/…/…");
        assert_eq!(shown(&"/a".repeat(100)), "/a/a/a/a/a/a/a");
    }

    #[test]
    fn a_request_id_is_taken_over_when_it_is_fit_for_a_log() {
        let id = |text: &'static [u8]| {
            request_id(&HeaderMap::from_iter([(
                http::HeaderName::from_static(REQUEST_ID),
                HeaderValue::from_bytes(text).unwrap(),
            )]))
        };
        assert_eq!(id(b"01a1fd71-fb60:7.b_2").as_deref(), Some("01a1fd71-fb60:7.b_2"));
        for unfit in [b"".as_slice(), b"a b", b"a\"b", b"a\xffb", b"{}", b"a=b", &[b'a'; 129]] {
            assert_eq!(id(unfit), None, "{unfit:?}");
        }
    }
}
