//! The headers that every answer has.

use http::{HeaderValue, header};
use poem::Response;

use super::Said;

/// For answers that are no pages: nothing in them is run, loaded or framed.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Adds what is missing.
pub(super) fn add(said: &Said, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A page whose forms are sent without a script says another: from one that refers nobody, browsers send `Origin: null`.
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    // What is somebody's stays out of caches.
    if said.path.contains("/api/") {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}
