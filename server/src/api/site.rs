//! `/`: the page for browsers, and for programs what this hub is.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use poem::{IntoResponse, Request, Response};
use poem_openapi::{
    ApiResponse, OpenApi,
    registry::{MetaMediaType, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Tag, answer::Json, page::Page, problem::Problem};
use crate::app::App;

/// What this hub is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Root")]
pub struct RootDocument {
    /// `Hearback`.
    pub name: String,
    /// The version of the program.
    pub version: String,
    /// Where the API begins.
    pub api: String,
    /// Where the API is documented.
    pub docs: String,
    /// Whether anybody may make an account.
    pub registration: RegistrationState,
    /// Whether there is no account yet: the first one will be the administrator's.
    pub first_account: bool,
}

/// Whether anybody may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationState {
    /// Anybody may.
    Open,
    /// Nobody may.
    Closed,
}

/// The page, or what the hub is.
pub enum RootAnswer {
    /// The page.
    Page(Response),
    /// What the hub is.
    Info(Json<RootDocument>),
}

impl IntoResponse for RootAnswer {
    fn into_response(self) -> Response {
        let mut response = match self {
            Self::Page(page) => page,
            Self::Info(info) => info.into_response(),
        };
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
        response
    }
}

impl ApiResponse for RootAnswer {
    fn meta() -> MetaResponses {
        let mut meta = Json::<RootDocument>::meta();
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        for response in &mut meta.responses {
            response.content.push(MetaMediaType { content_type: "text/html; charset=utf-8", schema: schema.clone() });
        }
        meta
    }

    fn register(registry: &mut Registry) {
        Json::<RootDocument>::register(registry);
    }
}

/// The operation at `/`.
pub struct SiteApi {
    app: Arc<App>,
    page: Page,
}

impl SiteApi {
    /// The operation of an app.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        Self { app, page: Page::default() }
    }
}

#[OpenApi(tag = "Tag::Hub")]
impl SiteApi {
    /// What this hub is
    ///
    /// Browsers get the page; programs that accept `application/json` get what this hub is and who may register.
    #[oai(path = "/", method = "get", operation_id = "get_root")]
    async fn root(&self, request: &Request) -> Result<RootAnswer, Problem> {
        if !prefers_json(request.headers()) {
            return Ok(RootAnswer::Page(self.page.answer(request.headers())));
        }
        let (first_account, open) = self.app.auth.registration().await?;
        let prefix = &self.app.config.path_prefix;
        Ok(RootAnswer::Info(Json(RootDocument {
            name: "Hearback".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            api: format!("{prefix}/api"),
            docs: format!("{prefix}/docs"),
            registration: if open { RegistrationState::Open } else { RegistrationState::Closed },
            first_account,
        })))
    }
}

/// Whether the caller names JSON, and no page that it likes as much.
fn prefers_json(request: &HeaderMap) -> bool {
    let texts = request.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = texts.flat_map(|text| text.split(',')).map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        (media, parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0_f32))
    });
    let (mut json, mut html) = (0.0_f32, 0.0_f32);
    for (media, quality) in ranges {
        match media.as_str() {
            "application/json" | "application/*" => json = json.max(quality),
            "text/html" | "text/*" | "application/xhtml+xml" => html = html.max(quality),
            _ => {}
        }
    }
    json > html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_name_json_get_json_and_all_others_the_page() {
        let json = |text| prefers_json(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(text))]));
        for yes in
            ["application/json", "application/json, */*;q=0.1", "Application/JSON", "text/html;q=0.5, application/json"]
        {
            assert!(json(yes), "{yes}");
        }
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        for no in ["*/*", "", browser, "text/html, application/json", "application/json;q=0"] {
            assert!(!json(no), "{no}");
        }
        assert!(!prefers_json(&HeaderMap::new()));
    }
}
