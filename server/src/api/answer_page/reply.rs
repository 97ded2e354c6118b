//! The pages as answers: their status, their headers, and how the OpenAPI document describes them.

use askama::Template;
use http::{HeaderMap, HeaderName, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

use crate::api::problem::{CONTENT_TYPE, Problem, ProblemDocument};
use crate::api::schema;

const HTML: &str = "text/html; charset=utf-8";
/// Nothing runs on these pages, nothing comes from elsewhere, and what is typed goes nowhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";
/// A page that refers nobody would send its form with `Origin: null`. Its address goes to no other site all the same.
const REFERRERS: &str = "same-origin";
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// A page.
#[derive(Debug)]
pub struct Page {
    status: StatusCode,
    html: String,
    headers: HeaderMap,
}

impl Page {
    /// The page that a template makes.
    pub(super) fn new(status: StatusCode, template: &impl Template) -> Self {
        match template.render() {
            Ok(html) => Self { status, html, headers: HeaderMap::new() },
            Err(error) => {
                tracing::error!(%error, "a page cannot be written");
                let html = "Something went wrong here.".into();
                Self { status: StatusCode::INTERNAL_SERVER_ERROR, html, headers: HeaderMap::new() }
            }
        }
    }

    /// The same page with the headers that a program would have got with a problem: when another try may help, and the limit.
    pub(super) fn with_headers_of(self, problem: &Problem) -> Self {
        Self { headers: problem.headers().iter().cloned().collect(), ..self }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = Response::builder()
            .status(self.status)
            .content_type(HTML)
            .header(header::CONTENT_SECURITY_POLICY, POLICY)
            .header(header::REFERRER_POLICY, REFERRERS)
            .header(header::CACHE_CONTROL, "no-store")
            .header(ROBOTS, "noindex")
            .body(self.html);
        response.headers_mut().extend(self.headers);
        response
    }
}

/// The statuses that have a page.
const PAGES: [(u16, &str); 9] = [
    (200, "The question with its form, how it ended, or that the answer was accepted."),
    (
        403,
        "The hub wants the person asked to be signed in; what was sent is kept. `origin`: the page that calls is unknown.",
    ),
    (404, "The link is not whole, is none of this hub's, or went to an address that is not the person's any more."),
    (409, "The question was answered or cancelled before: how."),
    (410, "The deadline has passed: how it ended."),
    (422, "The answer does not fit the question: the form again, with what was typed and what is wrong."),
    (429, "The person answers too often: nothing was taken, and what was sent is kept."),
    (500, "A fault of the hub. What was sent is kept."),
    (503, "The hub's database does not answer. What was sent is kept."),
];
/// The statuses of calls that no form makes.
const PROBLEMS: [u16; 3] = [400, 413, 415];

impl ApiResponse for Page {
    fn meta() -> MetaResponses {
        let html =
            || MetaMediaType { content_type: HTML, schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))) };
        let problem = || MetaMediaType { content_type: CONTENT_TYPE, schema: schema::reference::<ProblemDocument>() };
        let mut problems = Problem::meta().responses;
        // A page has the headers that the problem would have.
        let mut headers = |status| {
            let like = problems.iter_mut().find(|problem| problem.status == Some(status));
            like.map(|problem| std::mem::take(&mut problem.headers)).unwrap_or_default()
        };
        let pages = PAGES.map(|(status, description)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: if status == 403 { vec![html(), problem()] } else { vec![html()] },
            headers: headers(status),
        });
        let problems =
            problems.into_iter().filter(|response| response.status.is_some_and(|status| PROBLEMS.contains(&status)));
        MetaResponses { responses: pages.into_iter().chain(problems).collect() }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}
