//! The documentation of the API: the OpenAPI document and two readers for it, all without the network.
//!
//! The readers come as pages with their scripts inside. Here each script becomes a file of its own, since pages may run no
//! other.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use poem::{Endpoint, Request, Response, Result};
use poem_openapi::{OpenApi, OpenApiService};
use tokio::task::spawn_blocking;

use super::{asset::Asset, openapi, problem::Problem};

/// Scripts are the hub's own files. Styles stand in the pages, and the readers' scripts make more of them; nothing that
/// a caller says is among what they style. Redoc searches in a worker that it makes itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; \
                      connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The documentation, written for the first who opens it: that takes longer than all the rest of the hub's start.
#[derive(Clone)]
pub(super) struct Docs(Arc<LazyLock<Files, Box<dyn FnOnce() -> Files + Send>>>);

impl Docs {
    /// The documentation of all operations of a service, below a path prefix.
    pub(super) fn new<A: OpenApi + 'static>(
        service: impl FnOnce() -> OpenApiService<A, ()> + Send + 'static,
        prefix: String,
    ) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(move || Files::new(&service(), &prefix)))))
    }

    /// The OpenAPI document.
    pub(super) fn openapi(&self) -> File {
        self.file(|files, _| Some(&files.openapi))
    }

    /// The page of Swagger UI.
    pub(super) fn swagger(&self) -> File {
        self.file(|files, _| Some(&files.swagger.page))
    }

    /// The scripts of Swagger UI, by the path's parameter.
    pub(super) fn swagger_scripts(&self) -> File {
        self.file(|files, name| files.swagger.scripts.get(name))
    }

    /// The page of Redoc.
    pub(super) fn redoc(&self) -> File {
        self.file(|files, _| Some(&files.redoc.page))
    }

    /// The scripts of Redoc, by the path's parameter.
    pub(super) fn redoc_scripts(&self) -> File {
        self.file(|files, name| files.redoc.scripts.get(name))
    }

    fn file(&self, find: Find) -> File {
        File { docs: self.clone(), find }
    }
}

/// Finds a file by the path's parameter, which is empty where there is none.
type Find = for<'a> fn(&'a Files, &str) -> Option<&'a Asset>;

/// A file of the documentation, or several that a parameter of the path tells apart.
pub(super) struct File {
    docs: Docs,
    find: Find,
}

impl Endpoint for File {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let name: String = request.path_params().unwrap_or_default();
        let (docs, find, headers) = (self.docs.clone(), self.find, request.headers().clone());
        // The first call writes and compresses megabytes, meanwhile others are served.
        let answer = spawn_blocking(move || find(&docs.0, &name).map(|file| file.answer(&headers))).await;
        let answer = answer.map_err(|_| Problem::internal())?;
        Ok(answer.ok_or_else(|| Problem::not_found("The reader has no such file."))?)
    }
}

/// What the documentation consists of.
struct Files {
    openapi: Asset,
    swagger: Reader,
    redoc: Reader,
}

/// A reader of the document: its page, and below that its scripts by name.
struct Reader {
    page: Asset,
    scripts: HashMap<String, Asset>,
}

impl Files {
    fn new<A: OpenApi>(service: &OpenApiService<A, ()>, prefix: &str) -> Self {
        let document = openapi::document(service, prefix);
        let document = serde_json::to_string_pretty(&document).unwrap_or_default();
        // A text of the document could seem to end the script that it stands in.
        let inline = document.replace("</", "<\\/");
        let raw = service.spec();
        let reader = |path: &str, html: String| {
            let (page, scripts) = apart(path, &without_web_fonts(&html.replacen(&raw, &inline, 1)));
            let scripts = scripts.into_iter().map(|(name, text)| (name, Asset::new(SCRIPT, text)));
            Reader { page: Asset::new(HTML, page).with_policy(POLICY), scripts: scripts.collect() }
        };
        Self {
            openapi: Asset::new("application/json", document),
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
