//! The documentation of the API: the OpenAPI document and two readers for it, all without the network.

use poem::{Endpoint, Request, Response, Result};
use poem_openapi::{OpenApi, OpenApiService};

use super::{asset::Asset, openapi};

/// The readers are one file each, with their scripts and styles inside.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; \
                      font-src data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";

/// A file that is answered to every call.
pub(super) struct File(Asset);

impl Endpoint for File {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        Ok(self.0.answer(request.headers()))
    }
}

/// The documentation.
pub(super) struct Docs {
    /// The OpenAPI document.
    pub(super) openapi: File,
    /// Swagger UI.
    pub(super) swagger: File,
    /// Redoc.
    pub(super) redoc: File,
}

impl Docs {
    /// The documentation of all operations, below a path prefix.
    pub(super) fn new<A: OpenApi>(service: &OpenApiService<A, ()>, prefix: &str) -> Self {
        let document = openapi::document(service, prefix);
        let document = serde_json::to_string_pretty(&document).unwrap_or_default();
        // In a page, a text of the document could end the script that it stands in.
        let inline = document.replace("</", "<\\/");
        let raw = service.spec();
        let reader = |html: String| {
            let html = html.replacen(&raw, &inline, 1);
            File(Asset::new(HTML, without_web_fonts(&html)).with_policy(POLICY))
        };
        Self {
            openapi: File(Asset::new("application/json", document)),
            swagger: reader(service.swagger_ui_html()),
            redoc: reader(service.redoc_html()),
        }
    }
}

/// The page without the lines that load fonts from elsewhere.
fn without_web_fonts(html: &str) -> String {
    html.lines().filter(|line| !line.trim_start().starts_with("<link href=\"https://")).collect::<Vec<_>>().join("\n")
}
