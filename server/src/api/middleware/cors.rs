//! CORS, for pages of the other origins that the configuration names.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Request, Response};

use crate::auth::{self, Origins};

/// What pages may send besides what every page may.
const HEADERS: &str = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-CSRF-Token, X-Request-Id";
/// What pages may read besides what every page may.
const EXPOSED: &str = "Idempotent-Replayed, Location, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id";
const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
/// Keeps other origins' pages from loading an answer; not those that may.
pub(super) const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// How long a browser remembers, in seconds.
const MAX_AGE: &str = "600";

/// The answer to a browser that asks whether a page of another origin may call.
pub(super) fn preflight(origins: &Origins, request: &Request) -> Option<Response> {
    let asks = *request.method() == Method::OPTIONS && request.header(header::ACCESS_CONTROL_REQUEST_METHOD).is_some();
    let origin = auth::origin(request.headers())?;
    (asks && origins.shares_with(&origin)).then(|| {
        Response::builder()
            .status(StatusCode::NO_CONTENT)
            .header(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
            .header(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS)
            .header(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE)
            .finish()
    })
}

/// Tells a browser that the page may read the answer.
pub(super) fn add(origins: &Origins, request: &HeaderMap, response: &mut Response) {
    if !origins.shares() {
        return;
    }
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let origin = auth::origin(request).filter(|origin| origins.shares_with(origin));
    if let Some(origin) = origin.and_then(|origin| HeaderValue::try_from(origin).ok()) {
        headers.remove(RESOURCE_POLICY);
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}
