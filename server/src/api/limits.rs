//! Limits as callers see them: the headers of what counts, and how everything stands.

use std::{sync::Arc, time::Duration};

use hearback_core::{
    Result as CoreResult,
    channel::ChannelName,
    id::UserId,
    limits::{Act, Allowance, RateLimit, whole_seconds},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse, OpenApi,
    registry::{MetaHeader, MetaResponses, Registry},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Tag,
    answer::Json,
    problem::{Problem, ProblemKind, text_header},
};
use crate::{
    app::App,
    auth::{Person, SignedIn},
};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// How the limits of the caller stand; those that are off are not among them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Limits")]
pub struct LimitsDocument {
    /// The tightest first.
    pub limits: Vec<RateLimit>,
}

/// The tightest limit that a call counted against, where one is on.
#[derive(Clone, Copy, Debug)]
pub struct Counted(Option<Allowance>);

impl Counted {
    /// Counts a call of a person's, which changes something.
    ///
    /// # Errors
    ///
    /// `too_many_requests` when a limit is reached; nothing is counted then.
    pub async fn of(app: &App, person: &Person, session: Option<String>) -> Result<Self, Problem> {
        Self::act(app, &act(person, session)?).await
    }

    /// Counts an answer by a link, which the page at `/` would count the same.
    ///
    /// # Errors
    ///
    /// `too_many_requests` when a limit is reached; nothing is counted then.
    pub async fn of_link(app: &App, user: UserId) -> Result<Self, Problem> {
        let channel = ChannelName::WEB.parse().map_err(|_| Problem::internal())?;
        Self::act(app, &Act { user, channel, session: None }).await
    }

    async fn act(app: &App, act: &Act) -> Result<Self, Problem> {
        match app.limits.count(act).await? {
            Ok(allowances) => Ok(Self(allowances.first().copied())),
            Err(exceeded) => {
                let detail = format!("You do {}.", exceeded.sentence());
                let problem = Problem::new(ProblemKind::TooManyRequests, detail);
                let problem = problem.with_retry_after(exceeded.retry_after);
                Err(Self(Some(exceeded.allowance)).on(problem))
            }
        }
    }

    /// The problem of a call that counted all the same.
    #[must_use]
    pub fn on(self, problem: Problem) -> Problem {
        match self.0 {
            Some(Allowance { limit, remaining, reset, .. }) => rate_headers(problem, limit, remaining, reset),
            None => problem,
        }
    }

    /// What the call came to, with the headers.
    ///
    /// # Errors
    ///
    /// The problem it came to, with the headers too.
    pub fn with<T>(self, result: Result<T, Problem>) -> Result<Limited<T>, Problem> {
        result.map(|answer| Limited(answer, self)).map_err(|problem| self.on(problem))
    }

    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        if let Some(Allowance { limit, remaining, reset, .. }) = self.0 {
            headers.extend(values(limit, remaining, reset));
        }
    }
}

fn values(limit: u32, remaining: u32, reset: Duration) -> [(HeaderName, HeaderValue); 3] {
    [(LIMIT, limit.into()), (REMAINING, remaining.into()), (RESET, whole_seconds(reset).into())]
}

/// A problem with the headers of a limit.
pub(crate) fn rate_headers(problem: Problem, limit: u32, remaining: u32, reset: Duration) -> Problem {
    let headers = values(limit, remaining, reset).into_iter();
    headers.fold(problem, |problem, (name, value)| problem.with_header(name, value))
}

fn act(person: &Person, session: Option<String>) -> Result<Act, Problem> {
    let channel = person.channel().parse().map_err(|_| Problem::internal())?;
    Ok(Act { user: person.user.id, channel, session })
}

/// The answer to a call that counted.
#[derive(Debug)]
pub struct Limited<T>(T, Counted);

impl<T: IntoResponse> IntoResponse for Limited<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        self.1.add_to(response.headers_mut());
        response
    }
}

/// The headers as the document describes them.
pub(super) fn described() -> [MetaHeader; 3] {
    [
        text_header("X-RateLimit-Limit", "How much the tightest limit allows in a minute."),
        text_header("X-RateLimit-Remaining", "How much it allows at once now."),
        text_header("X-RateLimit-Reset", "Seconds until it allows all of it again."),
    ]
}

impl<T: ApiResponse> ApiResponse for Limited<T> {
    fn meta() -> MetaResponses {
        let mut meta = T::meta();
        for response in &mut meta.responses {
            response.headers.extend(described());
        }
        meta
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// The operations.
pub struct LimitsApi(pub Arc<App>);

#[OpenApi(prefix_path = "/api/me", tag = "Tag::Users")]
impl LimitsApi {
    /// Your limits
    ///
    /// How much of what counts you may do now: answers, and changes of addresses and preferences. Reading does not count. For
    /// people; what agents ask is not limited.
    #[oai(path = "/limits", method = "get", operation_id = "get_limits")]
    async fn mine(&self, SignedIn(person): SignedIn) -> Result<Json<LimitsDocument>, Problem> {
        let standing: CoreResult<Vec<_>> = self.0.limits.standing(&act(&person, None)?).await;
        Ok(Json(LimitsDocument { limits: standing?.into_iter().map(RateLimit::from).collect() }))
    }
}
