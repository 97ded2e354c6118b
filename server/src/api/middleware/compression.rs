//! Compresses long documents.

use flate2::Compression;
use http::{HeaderMap, HeaderValue, header};
use poem::Response;

use crate::api::asset;

/// Below this many bytes it does not pay.
const WORTHWHILE: usize = 2048;

/// Compresses a JSON document for a caller that takes gzip. Files that the program carries are compressed already, and
/// streams are left alone.
pub(super) async fn compress(request: &HeaderMap, response: &mut Response) {
    let json = response.content_type().is_some_and(|content_type| content_type.ends_with("json"));
    if !json || response.headers().contains_key(header::CONTENT_ENCODING) {
        return;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !asset::accepts_gzip(request) {
        return;
    }
    // JSON documents are in memory already.
    let Ok(body) = response.take_body().into_bytes().await else { return };
    if body.len() < WORTHWHILE {
        response.set_body(body);
        return;
    }
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.set_body(asset::gzip(&body, Compression::fast()));
}
