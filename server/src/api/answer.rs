//! What operations answer with: a document as JSON, with its status and headers, described as schemars says.

use std::marker::PhantomData;

use http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    problem::{Problem, text_header},
    schema,
};

const JSON: &str = "application/json";
pub(super) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// 200 with a document.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// 201 with the document of what was made, or, when the call is a repeated one, of what was made then.
#[derive(Debug)]
pub struct Created<T> {
    document: Vec<u8>,
    location: Option<String>,
    replayed: bool,
    of: PhantomData<fn() -> T>,
}

/// 204.
#[derive(Clone, Copy, Debug)]
pub struct NoContent;

/// Another answer, with cookies.
#[derive(Debug)]
pub struct WithCookies<T>(pub T, pub Vec<HeaderValue>);

/// 200 with a document; with `true`, that of an earlier call with the same `Idempotency-Key`.
#[derive(Debug)]
pub struct Replayable<T>(pub Json<T>, pub bool);

impl<T: Serialize> Created<T> {
    /// The answer with `document`.
    ///
    /// # Errors
    ///
    /// `internal` when it cannot be written as JSON.
    pub fn new(document: &T) -> Result<Self, Problem> {
        let document = serde_json::to_vec(document).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written");
            Problem::internal()
        })?;
        Ok(Self { document, location: None, replayed: false, of: PhantomData })
    }

    /// The answer with what was kept of an earlier one.
    #[must_use]
    pub fn kept(document: Vec<u8>) -> Self {
        Self { document, location: None, replayed: true, of: PhantomData }
    }

    /// The document as JSON, to keep.
    #[must_use]
    pub fn document(&self) -> &[u8] {
        &self.document
    }

    /// The same answer with the path of what was made.
    #[must_use]
    pub fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }

    /// The same answer, marked as that of an earlier call or not.
    #[must_use]
    pub const fn replayed(mut self, replayed: bool) -> Self {
        self.replayed = replayed;
        self
    }
}

impl<T: Serialize + Send> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(document) => Response::builder().content_type(JSON).body(document),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written");
                poem::Error::from(Problem::internal()).into_response()
            }
        }
    }
}

impl<T: Serialize + Send> IntoResponse for Replayable<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        if self.1 {
            response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

impl<T> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = Response::builder().status(StatusCode::CREATED).content_type(JSON).body(self.document);
        if let Some(location) = self.location.and_then(|location| HeaderValue::try_from(location).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        if self.replayed {
            response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        Response::builder().status(StatusCode::NO_CONTENT).finish()
    }
}

impl<T: IntoResponse> IntoResponse for WithCookies<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        for cookie in self.1 {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

fn described(
    status: u16,
    description: &'static str,
    content: Vec<MetaMediaType>,
    headers: Vec<MetaHeader>,
) -> MetaResponses {
    let response = MetaResponse { description, status: Some(status), status_range: None, content, headers };
    MetaResponses { responses: vec![response] }
}

fn document_of<T: JsonSchema>() -> Vec<MetaMediaType> {
    vec![MetaMediaType { content_type: JSON, schema: schema::reference::<T>() }]
}

impl<T: Serialize + JsonSchema> ApiResponse for Json<T> {
    fn meta() -> MetaResponses {
        described(200, "Here it is.", document_of::<T>(), Vec::new())
    }

    fn register(registry: &mut Registry) {
        schema::register_answer::<T>(registry);
    }
}

fn replayed_header() -> MetaHeader {
    text_header("Idempotent-Replayed", "`true` when this is the answer of an earlier call with the same key.")
}

impl<T: Serialize + JsonSchema> ApiResponse for Replayable<T> {
    fn meta() -> MetaResponses {
        described(200, "It is done.", document_of::<T>(), vec![replayed_header()])
    }

    fn register(registry: &mut Registry) {
        schema::register_answer::<T>(registry);
    }
}

impl<T: Serialize + JsonSchema> ApiResponse for Created<T> {
    fn meta() -> MetaResponses {
        let location = text_header("Location", "Where it can be read.");
        described(201, "It is made.", document_of::<T>(), vec![location, replayed_header()])
    }

    fn register(registry: &mut Registry) {
        schema::register_answer::<T>(registry);
    }
}

impl ApiResponse for NoContent {
    fn meta() -> MetaResponses {
        described(204, "It is done.", Vec::new(), Vec::new())
    }

    fn register(_: &mut Registry) {}
}

impl<T: ApiResponse> ApiResponse for WithCookies<T> {
    fn meta() -> MetaResponses {
        let mut meta = T::meta();
        for response in &mut meta.responses {
            response.headers.push(text_header("Set-Cookie", "`hb_access`, `hb_refresh` and `hb_csrf`."));
        }
        meta
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
