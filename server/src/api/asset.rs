//! Files that the program carries: known by their hash, compressed once.

use std::{io::Write, sync::OnceLock};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::Response;

use crate::digest;

/// A file as it is answered.
#[derive(Debug)]
pub(super) struct Asset {
    content_type: &'static str,
    policy: Option<HeaderValue>,
    plain: Bytes,
    /// Made for the first who takes it, since the readers of the API are large and a start should not wait for them. `None`
    /// where it would be no smaller.
    gzip: OnceLock<Option<Bytes>>,
    etag: HeaderValue,
}

impl Asset {
    /// A file with these bytes.
    pub(super) fn new(content_type: &'static str, plain: impl Into<Bytes>) -> Self {
        let plain = plain.into();
        let hash = URL_SAFE_NO_PAD.encode(&digest::sha256(&plain)[..12]);
        // Weak, since the compressed and the plain file are the same to a reader, but not to the byte.
        let etag = HeaderValue::try_from(format!("W/\"{hash}\"")).unwrap_or(HeaderValue::from_static("W/\"\""));
        Self { content_type, policy: None, plain, gzip: OnceLock::new(), etag }
    }

    /// The same file with a content security policy of its own.
    pub(super) fn with_policy(mut self, policy: &'static str) -> Self {
        self.policy = Some(HeaderValue::from_static(policy));
        self
    }

    /// The answer to a call with these headers: 304 to one that has the file.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response {
        let known = request.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let ours = opaque(self.etag.to_str().unwrap_or_default());
        let unchanged = known.is_some_and(|known| known.split(',').any(|tag| tag.trim() == "*" || opaque(tag) == ours));
        let mut response = Response::builder()
            .header(header::ETAG, self.etag.clone())
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::VARY, "Accept-Encoding");
        if let Some(policy) = &self.policy {
            response = response.header(header::CONTENT_SECURITY_POLICY, policy.clone());
        }
        if unchanged {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        response = response.content_type(self.content_type);
        match Some(self).filter(|_| accepts_gzip(request)).and_then(Self::compressed) {
            Some(gzip) => response.header(header::CONTENT_ENCODING, "gzip").body(gzip),
            None => response.body(self.plain.clone()),
        }
    }

    fn compressed(&self) -> Option<Bytes> {
        let smaller = || Some(gzip(&self.plain, Compression::best())).filter(|gzip| gzip.len() < self.plain.len());
        self.gzip.get_or_init(smaller).clone()
    }
}

/// Whether the caller takes gzip.
pub(super) fn accepts_gzip(request: &HeaderMap) -> bool {
    let texts = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = texts.flat_map(|text| text.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = parts.any(|part| part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0));
        gzip && !refused
    })
}

/// The bytes, compressed.
pub(super) fn gzip(plain: &[u8], level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 3), level);
    // Writing to memory does not fail.
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.map_or_else(|_| Bytes::copy_from_slice(plain), Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_given_to_those_who_take_it() {
        let headers = |text| HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))]);
        for yes in ["gzip", "br, gzip;q=0.5", "GZIP", "deflate,gzip"] {
            assert!(accepts_gzip(&headers(yes)), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "identity", "x-gzip"] {
            assert!(!accepts_gzip(&headers(no)), "{no}");
        }
    }

    #[test]
    fn a_file_that_the_caller_has_is_not_sent_again() {
        let asset = Asset::new("text/css", "a{}");
        let etag = asset.answer(&HeaderMap::new()).headers()[header::ETAG].clone();
        let again = |tag: HeaderValue| asset.answer(&HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)])).status();
        assert_eq!(again(etag), StatusCode::NOT_MODIFIED);
        assert_eq!(again(HeaderValue::from_static("W/\"other\"")), StatusCode::OK);
    }
}
