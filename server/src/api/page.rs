//! The page at `/` and its files, which the program carries.

use std::collections::HashMap;

use http::HeaderMap;
use poem::{Endpoint, Request, Response, Result};

use super::{asset::Asset, problem::Problem};

/// Every file below `templates/page`, by its path.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));
const INDEX: &str = "index.html";

/// The page runs its own scripts only, and sends what it learns nowhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      form-action 'self'; base-uri 'self'; frame-ancestors 'none'";

/// The page.
pub(super) struct Page(Asset);

impl Default for Page {
    fn default() -> Self {
        let index = FILES.iter().find(|(path, _)| *path == INDEX).map_or(b"".as_slice(), |(_, bytes)| bytes);
        Self(Asset::new(content_type(INDEX), index).with_policy(POLICY))
    }
}

impl Page {
    /// The page, for a call with these headers.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response {
        self.0.answer(request)
    }
}

/// The files that the page loads.
pub(super) struct Assets(HashMap<&'static str, Asset>);

impl Default for Assets {
    fn default() -> Self {
        let files = FILES.iter().filter(|(path, _)| *path != INDEX);
        Self(files.map(|(path, bytes)| (*path, Asset::new(content_type(path), *bytes))).collect())
    }
}

impl Endpoint for Assets {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let path: String = request.path_params()?;
        let asset = self.0.get(path.as_str()).ok_or_else(|| Problem::not_found("The page has no such file."))?;
        Ok(asset.answer(request.headers()))
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_everything_it_names_is_carried() {
        let index = FILES.iter().find(|(path, _)| *path == INDEX).unwrap().1;
        let index = std::str::from_utf8(index).unwrap();
        let named = index.split('"').filter_map(|text| text.strip_prefix("assets/")).collect::<Vec<_>>();
        assert!(named.len() > 2, "{named:?}");
        for path in named {
            assert!(FILES.iter().any(|(file, _)| *file == path), "{path}");
        }
        assert!(FILES.iter().all(|(path, _)| !path.starts_with("tests/") && *path != "package.json"));
    }
}
