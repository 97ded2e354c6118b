//! Feedback requests: put, read, waited for, cancelled, answered.

use std::{sync::Arc, time::Duration};

use hearback_core::{
    callback::CallbackDocument,
    error::FieldError,
    feedback::{
        COMMENT_MAX, DeliveryDocument, Draft, Request, RequestDocument, RequestState, Response, Status, Verdict,
    },
    hub::{Answer, CreateError, Responded},
    id::{CallbackId, DeliveryId, RequestId, ResponseId, UserId},
    store::{Created as Stored, Ended, RequestQuery, Scope},
};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::select;
use uuid::Uuid;

use super::{
    Tag,
    answer::{Created, Json, Replayable},
    body::Body,
    idempotency::{self, IdempotencyKey},
    limits::{Counted, Limited},
    list::{Cursor, Limit, Page},
    parameter::{As, OfStatus, Wait},
    problem::{Problem, ProblemKind},
};
use crate::{
    account::TokenScope,
    app::App,
    auth::{Authenticated, Person, Principal, SignedIn},
};

const REQUESTS: Cursor = Cursor::of("feedback");
const RESPONSES: Cursor = Cursor::of("responses");
const DELIVERIES: Cursor = Cursor::of("deliveries");
const CALLBACKS: Cursor = Cursor::of("callbacks");

/// A person's answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FeedbackResponseDraft")]
pub struct ResponseDraft {
    /// Approval: `approved` or `rejected`; choice: one option's value, or a list of them with `multiple`; input: a
    /// text; form: an object that satisfies the schema.
    pub value: Value,
    /// What is said besides, at most 4,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub comment: Option<String>,
}

/// An answer that was accepted, and the request with its outcome.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AcceptedResponse")]
pub struct AcceptedDocument {
    /// The response as it is kept.
    pub response: Response,
    /// The request, now answered.
    pub feedback: RequestDocument,
}

/// The operations on feedback requests.
pub struct FeedbackApi(pub Arc<App>);

#[OpenApi(prefix_path = "/api/feedback", tag = "Tag::Feedback")]
impl FeedbackApi {
    /// Put a question to people
    ///
    /// Answers once the request is durable. Repeat a call whose answer was lost with the same `Idempotency-Key`: it
    /// asks once.
    #[oai(path = "/", method = "post", operation_id = "create_feedback")]
    async fn create(
        &self,
        Authenticated(principal): Authenticated,
        /// Makes repeating the call safe: 1 to 255 visible ASCII characters of your choice.
        #[oai(name = "Idempotency-Key")]
        key: IdempotencyKey,
        draft: Body<Draft>,
    ) -> Result<Created<RequestDocument>, Problem> {
        principal.require(TokenScope::FeedbackWrite)?;
        let claim = self.0.running.claim(&key, principal.id(), "/api/feedback", &draft.raw)?;
        let idempotency = claim.as_ref().map(idempotency::Claim::idempotency);
        let (request, replayed) = match self.0.hub.create(principal.asker(), draft.value, idempotency).await {
            Ok(Stored::New(request)) => (request, false),
            Ok(Stored::Replayed(request)) => (request, true),
            Ok(Stored::Mismatch) => return Err(idempotency::mismatch()),
            Err(CreateError::Invalid(faults)) => return Err(Problem::invalid(faults)),
            Err(CreateError::UnknownPeople(faults)) => return Err(unknown_people(faults)),
            Err(CreateError::Store(error)) => return Err(error.into()),
        };
        // The first answer again: as it was put, whatever has become of it.
        let as_put = Request { state: RequestState::Pending, ..Request::clone(&request) };
        let created = Created::new(&RequestDocument::from(&as_put))?;
        Ok(created.at(self.0.path(&format!("/api/feedback/{}", request.id))).replayed(replayed))
    }

    /// Read a request, or wait for its ending
    ///
    /// With `wait` the answer comes when the request ends, or after so many seconds with the request still pending.
    #[oai(path = "/:id", method = "get", operation_id = "get_feedback")]
    async fn read(
        &self,
        Authenticated(mut principal): Authenticated,
        call: &poem::Request,
        id: Path<Uuid>,
        /// For how many seconds to wait for the ending.
        wait: Query<Option<Wait>>,
    ) -> Result<Json<RequestDocument>, Problem> {
        let over = self.0.auth.over();
        if matches!(wait.0, Some(Wait(1..))) {
            // Again, now that its ending would be heard.
            principal = self.0.auth.authenticate(call).await?;
        }
        let mut request = visible(&self.0, &principal, id.0).await?;
        if let (Some(Wait(seconds @ 1..)), true) = (wait.0, request.is_pending()) {
            let _parked = self.0.parked.token();
            // Who asks again and again would be answered at once, again and again.
            if self.0.stopping.is_cancelled() {
                return Err(Problem::stopping());
            }
            let until = self.0.clock.now().after(Duration::from_secs(seconds));
            request = select! {
                waited = self.0.hub.wait(request.id, until, &self.0.stopping) => waited?.ok_or_else(missing)?,
                problem = self.0.auth.until_over(&principal, over) => return Err(problem),
            };
        }
        Ok(Json(request.as_ref().into()))
    }

    /// List requests
    ///
    /// Newest first: what the caller asked (the default for service tokens) or is asked (the default for people).
    #[oai(path = "/", method = "get", operation_id = "list_feedback")]
    async fn list(
        &self,
        Authenticated(principal): Authenticated,
        /// In which part the caller sees them.
        r#as: Query<Option<As>>,
        /// Only requests that stand so.
        status: Query<Option<OfStatus>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many requests a page has at most.
        limit: Query<Option<Limit>>,
    ) -> Result<Json<Page<RequestDocument>>, Problem> {
        principal.require(TokenScope::FeedbackRead)?;
        let scope = match (&principal, r#as.0) {
            (Principal::Agent(agent), None | Some(As::Asker)) => Scope::AskedByToken(agent.token.id),
            (Principal::Agent(_), Some(As::Asked)) => {
                return Err(Problem::forbidden("A service token asks; nobody asks it."));
            }
            (Principal::Person(person), None | Some(As::Asked)) => Scope::Asked(person.user.id),
            (Principal::Person(person), Some(As::Asker)) => Scope::AskedByUser(person.user.id),
        };
        let query = RequestQuery {
            scope,
            status: status.0.map(|OfStatus(status)| status),
            before: REQUESTS.read(cursor.0.as_deref())?,
            limit: Limit::or_default(limit.0),
        };
        let page = self.0.store.requests(query).await?;
        let items = page.items.iter().map(|request| RequestDocument::from(request.as_ref())).collect();
        Ok(Json(REQUESTS.page(items, page.more, |last: &RequestDocument| last.id.uuid())))
    }

    /// Take a question back
    ///
    /// Everybody asked is told. Only the asker can.
    #[oai(path = "/:id/cancel", method = "post", operation_id = "cancel_feedback")]
    async fn cancel(
        &self,
        Authenticated(principal): Authenticated,
        id: Path<Uuid>,
    ) -> Result<Json<RequestDocument>, Problem> {
        principal.require(TokenScope::FeedbackWrite)?;
        let request = self.0.store.request(id.0.into()).await?;
        let request = request.filter(|request| is_asker(&principal, request) || is_asked(&principal, request));
        let request = request.ok_or_else(missing)?;
        if !is_asker(&principal, &request) {
            return Err(Problem::forbidden("Only the asker can take a question back."));
        }
        match self.0.hub.cancel(request.id).await?.ok_or_else(missing)? {
            Ended::Now(request) => Ok(Json(request.as_ref().into())),
            Ended::Before(request) => {
                let how = request.ending().map_or_else(String::new, |ending| format!(": {}", ending.sentence()));
                let problem = Problem::new(ProblemKind::Ended, format!("The request is over{how}."));
                Err(problem.with_feedback(request.as_ref().into()))
            }
        }
    }

    /// Answer a question
    ///
    /// The first valid answer from a person asked wins. Every response is kept, with its verdict.
    #[oai(path = "/:id/responses", method = "post", operation_id = "answer_feedback")]
    async fn answer(
        &self,
        SignedIn(person): SignedIn,
        id: Path<Uuid>,
        /// Makes repeating the call safe: 1 to 255 visible ASCII characters of your choice.
        #[oai(name = "Idempotency-Key")]
        key: IdempotencyKey,
        draft: Body<ResponseDraft>,
    ) -> Result<Limited<Replayable<AcceptedDocument>>, Problem> {
        let counted = Counted::of(&self.0, &person, None).await?;
        counted.with(self.record_answer(person, id.0.into(), &key, draft).await)
    }

    /// List the responses to a request
    ///
    /// Every candidate answer with its verdict, oldest first. Who asked sees all; who is asked sees their own and the accepted
    /// one, so that a page may have fewer than it could.
    #[oai(path = "/:id/responses", method = "get", operation_id = "list_responses")]
    async fn responses(
        &self,
        Authenticated(principal): Authenticated,
        id: Path<Uuid>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many responses a page has at most.
        limit: Query<Option<Limit>>,
    ) -> Result<Json<Page<Response>>, Problem> {
        let request = visible(&self.0, &principal, id.0).await?;
        let after = RESPONSES.read::<ResponseId>(cursor.0.as_deref())?;
        let page = self.0.store.responses(request.id, after, Limit::or_default(limit.0)).await?;
        let mut page = RESPONSES.page(page.items, page.more, |last: &Response| last.id.uuid());
        let view = View::of(&principal, &request);
        page.items.retain(|response| view.shows_response(response));
        Ok(Json(page))
    }

    /// List the deliveries of a request
    ///
    /// To each person, over each channel that was tried, with every attempt; oldest first. Who asked sees all; who is asked
    /// sees those to themselves, so that a page may have fewer than it could.
    #[oai(path = "/:id/deliveries", method = "get", operation_id = "list_deliveries")]
    async fn deliveries(
        &self,
        Authenticated(principal): Authenticated,
        id: Path<Uuid>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many deliveries a page has at most.
        limit: Query<Option<Limit>>,
    ) -> Result<Json<Page<DeliveryDocument>>, Problem> {
        let request = visible(&self.0, &principal, id.0).await?;
        let after = DELIVERIES.read::<DeliveryId>(cursor.0.as_deref())?;
        let page = self.0.store.deliveries(request.id, after, Limit::or_default(limit.0)).await?;
        let items = page.items.into_iter().map(DeliveryDocument::from).collect();
        let mut page = DELIVERIES.page(items, page.more, |last: &DeliveryDocument| last.id.uuid());
        let view = View::of(&principal, &request);
        page.items.retain(|delivery| view.shows_delivery_to(delivery.user_id));
        Ok(Json(page))
    }

    /// List the callbacks of a request
    ///
    /// What was told, or is to be, at its `callback_url`, oldest first. Only the asker sees them.
    #[oai(path = "/:id/callbacks", method = "get", operation_id = "list_callbacks")]
    async fn callbacks(
        &self,
        Authenticated(principal): Authenticated,
        id: Path<Uuid>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many callbacks a page has at most.
        limit: Query<Option<Limit>>,
    ) -> Result<Json<Page<CallbackDocument>>, Problem> {
        let request = visible(&self.0, &principal, id.0).await?;
        if !is_asker(&principal, &request) {
            return Err(Problem::forbidden("Only the asker sees what they are told."));
        }
        let after = CALLBACKS.read::<CallbackId>(cursor.0.as_deref())?;
        let page = self.0.store.callbacks(request.id, after, Limit::or_default(limit.0)).await?;
        let items = page.items.into_iter().map(CallbackDocument::from).collect();
        Ok(Json(CALLBACKS.page(items, page.more, |last: &CallbackDocument| last.id.uuid())))
    }
}

impl FeedbackApi {
    async fn record_answer(
        &self,
        person: Person,
        request: RequestId,
        key: &IdempotencyKey,
        draft: Body<ResponseDraft>,
    ) -> Result<Replayable<AcceptedDocument>, Problem> {
        let path = format!("/api/feedback/{request}/responses");
        let claim = self.0.running.claim(key, person.user.id.uuid(), &path, &draft.raw)?;
        let ResponseDraft { value, comment } = draft.value;
        let length = comment.as_ref().map_or(0, |comment| comment.chars().count());
        if length > COMMENT_MAX {
            let detail = format!("has {length} characters, at most {COMMENT_MAX} are taken");
            return Err(Problem::invalid(vec![FieldError::new("comment", detail)]));
        }
        let given = (value.clone(), comment.clone());
        let event = claim.as_ref().map(idempotency::Claim::event);
        let channel = person.channel().parse().map_err(|_| Problem::internal())?;
        let answer = Answer { request, by: Some(person.user_ref()), channel, value, comment, event };
        let Responded { recorded, faults } = self.0.hub.respond(answer).await?.ok_or_else(missing)?;
        let response = recorded.response;
        if recorded.duplicate && (&response.value, &response.comment) != (&given.0, &given.1) {
            return Err(idempotency::mismatch());
        }
        let feedback = RequestDocument::from(recorded.request.as_ref());
        let problem = match response.verdict {
            Verdict::Accepted => {
                return Ok(Replayable(Json(AcceptedDocument { response, feedback }), recorded.duplicate));
            }
            Verdict::Invalid => Problem::invalid(faults),
            Verdict::Refused => Problem::forbidden("You are not asked."),
            Verdict::Late => late(response, feedback),
        };
        Err(problem.replayed(recorded.duplicate))
    }
}

/// The request, if the caller asked it or is asked; what is not theirs is not found.
pub(super) async fn visible(app: &App, principal: &Principal, id: Uuid) -> Result<Arc<Request>, Problem> {
    principal.require(TokenScope::FeedbackRead)?;
    let request = app.store.request(id.into()).await?;
    request.filter(|request| is_asker(principal, request) || is_asked(principal, request)).ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::not_found("There is no such request, or it is not yours.")
}

fn unknown_people(faults: Vec<FieldError>) -> Problem {
    let who = faults.iter().map(|fault| fault.detail.as_str()).collect::<Vec<_>>().join("; ");
    Problem::not_found(format!("Not everybody asked is known: {who}.")).with_errors(faults)
}

/// Who came too late is told why, with the request as it ended.
fn late(response: Response, feedback: RequestDocument) -> Problem {
    let kind = match feedback.status {
        Status::Expired => ProblemKind::Expired,
        Status::Cancelled => ProblemKind::Cancelled,
        Status::Pending | Status::Answered => ProblemKind::Late,
    };
    let reason = response.reason.unwrap_or_default();
    Problem::new(kind, format!("Your answer came too late: {reason}.")).with_feedback(feedback)
}

/// An agent asked what it put with its own token; a person what they put, in person or with any of their tokens.
fn is_asker(principal: &Principal, request: &Request) -> bool {
    match principal {
        Principal::Agent(agent) => request.asker.token.as_ref().is_some_and(|asker| asker.id == agent.token.id),
        Principal::Person(person) => request.asker.user.id == person.user.id,
    }
}

/// What a principal sees of a request that is theirs to see: whoever is asked learns neither where others are reached nor what
/// they said in vain.
#[derive(Clone, Copy, Debug)]
pub(super) enum View {
    /// All of it: who asked.
    Whole,
    /// What concerns this person, who is asked.
    Of(UserId),
}

impl View {
    pub(super) fn of(principal: &Principal, request: &Request) -> Self {
        if is_asker(principal, request) { Self::Whole } else { Self::Of(principal.user().id) }
    }

    pub(super) fn shows_delivery_to(self, person: UserId) -> bool {
        match self {
            Self::Whole => true,
            Self::Of(viewer) => viewer == person,
        }
    }

    pub(super) fn shows_response(self, response: &Response) -> bool {
        match self {
            Self::Whole => true,
            Self::Of(viewer) => {
                response.verdict == Verdict::Accepted || response.by.as_ref().is_some_and(|user| user.id == viewer)
            }
        }
    }
}

fn is_asked(principal: &Principal, request: &Request) -> bool {
    matches!(principal, Principal::Person(person) if request.asks(person.user.id))
}
