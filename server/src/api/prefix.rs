//! Serving below a path prefix.

use http::{StatusCode, header};
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Route, endpoint::BoxEndpoint};

/// The endpoint below `prefix`, which is empty or `/x`. The prefix itself leads on to the prefix with a slash, where the
/// page's relative links are right.
pub(super) fn below(prefix: String, inner: impl Endpoint + 'static) -> BoxEndpoint<'static, Response> {
    if prefix.is_empty() {
        return inner.map_to_response().boxed();
    }
    let routes = Route::new().nest(&prefix, inner);
    routes
        .around(move |routes, request: Request| {
            let redirect = (request.uri().path() == prefix).then(|| to_slash(&prefix, request.uri().query()));
            async move {
                match redirect {
                    Some(redirect) => Ok(redirect),
                    None => routes.call(request).await.map(IntoResponse::into_response),
                }
            }
        })
        .boxed()
}

fn to_slash(prefix: &str, query: Option<&str>) -> Response {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{prefix}/{query}");
    Response::builder().status(StatusCode::PERMANENT_REDIRECT).header(header::LOCATION, location).finish()
}
