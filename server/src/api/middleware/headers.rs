//! The headers that every answer has.

use http::{HeaderName, HeaderValue, header};
use poem::Response;

use super::Said;
use crate::config::Config;

/// For answers that are no pages: nothing in them is run, loaded or framed.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// What no page of the hub needs.
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=()";

/// For how long browsers shall come by https alone: a year.
const TRANSPORT: &str = "max-age=31536000";

const ALWAYS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (super::cors::RESOURCE_POLICY, "same-origin"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
];

/// Adds what is missing.
pub(super) fn add(said: &Said, response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A page whose forms are sent without a script says another: from one that refers nobody, browsers send `Origin: null`.
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    // What is somebody's stays out of caches.
    if said.path.contains("/api/") {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}

/// Has browsers come by https from now on, where that is how people open the hub.
pub(super) fn add_transport(config: &Config, response: &mut Response) {
    if config.public_url.scheme() == "https" {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT));
    }
}
