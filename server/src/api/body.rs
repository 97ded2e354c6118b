//! Bodies that operations read: [`Body`] for JSON, [`Form`] for URL-encoded forms, [`read`] and [`read_bytes`] for any other.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, Registry},
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{
    decode,
    problem::{Problem, ProblemKind},
    schema,
};
use crate::auth::is_safe;

/// The largest body, in bytes.
pub const BODY_MAX: usize = 1024 * 1024;
/// How much more of a body that is too large is read and thrown away: a caller that is still sending hears no answer.
const THROWN_AWAY_MAX: usize = 8 * BODY_MAX;
/// How long such a caller has to finish.
const THROWN_AWAY_WITHIN: Duration = Duration::from_secs(2);

/// How long a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

const JSON: &str = "application/json";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// A body of JSON.
#[derive(Debug)]
pub struct Body<T> {
    /// What it says.
    pub value: T,
    /// The body as it came, by which a repeated call is known.
    pub raw: Bytes,
}

/// A body of JSON that may be left out.
#[derive(Debug)]
pub struct OptionalBody<T>(pub Option<T>);

/// A URL-encoded form.
#[derive(Debug)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned> Body<T> {
    async fn read(request: &Request, body: &mut RequestBody) -> Result<Self, Problem> {
        let raw = read(request, body, JSON).await?;
        Ok(Self { value: decode::json(&raw)?, raw })
    }
}

impl<T: DeserializeOwned> OptionalBody<T> {
    async fn read(request: &Request, body: &mut RequestBody) -> Result<Self, Problem> {
        if request.content_type().is_none() {
            let bytes = read_bytes(body).await?;
            if bytes.is_empty() {
                return Ok(Self(None));
            }
            return Err(Problem::unsupported_media_type(None, &[JSON]));
        }
        Ok(Self(Some(decode::json(&read(request, body, JSON).await?)?)))
    }
}

impl<T: DeserializeOwned> Form<T> {
    async fn read(request: &Request, body: &mut RequestBody) -> Result<Self, Problem> {
        decode::form(&read(request, body, FORM).await?).map(Self)
    }
}

/// The body, if it is of this content type and not too large.
pub(super) async fn read(request: &Request, body: &mut RequestBody, content_type: &str) -> Result<Bytes, Problem> {
    let found = request.content_type();
    let essence = found.map(|found| found.split(';').next().unwrap_or_default().trim());
    if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case(content_type)) {
        return Err(Problem::unsupported_media_type(found, &[content_type]));
    }
    if let Some(coding) = request.header(http::header::CONTENT_ENCODING) {
        let found = format!("{content_type} with Content-Encoding {coding}");
        return Err(Problem::unsupported_media_type(Some(&found), &[content_type]));
    }
    read_bytes(body).await
}

/// Waits until the whole body of a call is here.
///
/// # Errors
///
/// `too_large`; `malformed` when it is cut off, or takes longer than [`ARRIVES_WITHIN`].
pub(super) async fn arrive(call: &mut Request) -> Result<(), Problem> {
    if is_safe(call.method()) {
        return Ok(());
    }
    let mut body = RequestBody::new(call.take_body());
    let late = |_| Problem::malformed(format!("The body was not here within {} s.", ARRIVES_WITHIN.as_secs()));
    let arrived = tokio::time::timeout(ARRIVES_WITHIN, read_bytes(&mut body)).await.map_err(late)??;
    call.set_body(arrived);
    Ok(())
}

/// The body as it came, if it is not too large.
pub(super) async fn read_bytes(body: &mut RequestBody) -> Result<Bytes, Problem> {
    let unreadable = |_| Problem::malformed("The body was cut off.");
    let mut stream = body.take().map_err(|_| Problem::internal())?.into_bytes_stream();
    let mut read = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(unreadable)?;
        if read.len() + chunk.len() > BODY_MAX {
            let rest = async {
                let mut thrown_away = 0;
                while let Some(Ok(chunk)) = stream.next().await {
                    thrown_away += chunk.len();
                    if thrown_away > THROWN_AWAY_MAX {
                        break;
                    }
                }
            };
            // Whether it finished or not, the answer is the same.
            let _ = tokio::time::timeout(THROWN_AWAY_WITHIN, rest).await;
            return Err(Problem::new(ProblemKind::TooLarge, "The body is larger than 1 MiB."));
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read.freeze())
}

macro_rules! request_object {
    ($($name:ident, $content_type:ident, $required:literal;)*) => {$(
        impl<'a, T: DeserializeOwned + JsonSchema + Send> ApiExtractor<'a> for $name<T> {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                schema::register_body::<T>(registry);
            }

            fn request_meta() -> Option<MetaRequest> {
                let content = vec![MetaMediaType { content_type: $content_type, schema: schema::reference::<T>() }];
                Some(MetaRequest { description: None, content, required: $required })
            }

            async fn from_request(
                request: &'a Request,
                body: &mut RequestBody,
                _: ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                Ok(Self::read(request, body).await?)
            }
        }
    )*};
}

request_object! {
    Body, JSON, true;
    OptionalBody, JSON, false;
    Form, FORM, true;
}
