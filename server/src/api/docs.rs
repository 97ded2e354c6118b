//! The documentation of the API: the OpenAPI document and two readers for it, all without the network.
//!
//! The readers come as pages with their scripts inside. Here each script becomes a file of its own, since pages may run no
//! other.

use std::collections::HashMap;

use poem::{Endpoint, Request, Response, Result};
use poem_openapi::{OpenApi, OpenApiService};

use super::{asset::Asset, openapi, problem::Problem};

/// Scripts are the hub's own files. Styles stand in the pages, and the readers' scripts make more of them; nothing that
/// a caller says is among what they style. Redoc searches in a worker that it makes itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; \
                      connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file that is answered to every call.
pub(super) struct File(Asset);

impl Endpoint for File {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        Ok(self.0.answer(request.headers()))
    }
}

/// The scripts of a reader, by name.
pub(super) struct Scripts(HashMap<String, Asset>);

impl Endpoint for Scripts {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let name: String = request.path_params()?;
        let script = self.0.get(&name).ok_or_else(|| Problem::not_found("The reader has no such file."))?;
        Ok(script.answer(request.headers()))
    }
}

/// A reader of the document: its page, and below that its scripts.
pub(super) struct Reader {
    pub(super) page: File,
    pub(super) scripts: Scripts,
}

/// The documentation.
pub(super) struct Docs {
    /// The OpenAPI document.
    pub(super) openapi: File,
    /// Swagger UI, at `/docs`.
    pub(super) swagger: Reader,
    /// Redoc, at `/redoc`.
    pub(super) redoc: Reader,
}

impl Docs {
    /// The documentation of all operations, below a path prefix.
    pub(super) fn new<A: OpenApi>(service: &OpenApiService<A, ()>, prefix: &str) -> Self {
        let document = openapi::document(service, prefix);
        let document = serde_json::to_string_pretty(&document).unwrap_or_default();
        // A text of the document could seem to end the script that it stands in.
        let inline = document.replace("</", "<\\/");
        let raw = service.spec();
        let reader = |path: &str, html: String| {
            let (page, scripts) = apart(path, &without_web_fonts(&html.replacen(&raw, &inline, 1)));
            let scripts = scripts.into_iter().map(|(name, text)| (name, Asset::new(SCRIPT, text)));
            Reader { page: File(Asset::new(HTML, page).with_policy(POLICY)), scripts: Scripts(scripts.collect()) }
        };
        Self {
            openapi: File(Asset::new("application/json", document)),
            swagger: reader("docs", service.swagger_ui_html()),
            redoc: reader("redoc", service.redoc_html()),
        }
    }
}

/// The page without the lines that load fonts from elsewhere.
fn without_web_fonts(html: &str) -> String {
    html.lines().filter(|line| !line.trim_start().starts_with("<link href=\"https://")).collect::<Vec<_>>().join("\n")
}

/// The page that loads its scripts from below `path`, and the scripts by name. A script ends where a browser ends it.
fn apart(path: &str, html: &str) -> (String, Vec<(String, String)>) {
    let (mut page, mut scripts, mut rest) = (String::new(), Vec::new(), html);
    while let Some((before, (script, after))) = rest.split_once("<script").and_then(|(before, tag)| {
        let (_, inside) = tag.split_once('>')?;
        Some((before, inside.split_once("</script>")?))
    }) {
        let name = format!("{}.js", scripts.len());
        page.extend([before, "<script charset=\"utf-8\" src=\"", path, "/", &name, "\"></script>"]);
        scripts.push((name, script.to_owned()));
        rest = after;
    }
    page.push_str(rest);
    (page, scripts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_taken_out_of_a_page() {
        let html =
            "<head><script charset=\"UTF-8\">a < \"<script\"</script></head><body>x<script>\nb()</script></body>";
        let (page, scripts) = apart("docs", html);
        let tag = |name| format!("<script charset=\"utf-8\" src=\"docs/{name}.js\"></script>");
        assert_eq!(page, format!("<head>{}</head><body>x{}</body>", tag(0), tag(1)));
        let expected = [("0.js", "a < \"<script\""), ("1.js", "\nb()")];
        assert_eq!(scripts, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }
}
