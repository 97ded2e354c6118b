//! Putting a request.

use super::{Hub, OnDrop, route};
use crate::{
    error::{Error, FieldError},
    event::EventId,
    feedback::{Delivery, Draft, Request, RequestState, RouteStep},
    person::{Asker, Person},
    store::{Created, Idempotency, NewRequest},
};

/// Why a request was not put. Nothing is stored then.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Fields of the draft are at fault.
    #[error("the request is not valid")]
    Invalid(Vec<FieldError>),
    /// People in `to` are not known.
    #[error("not everybody asked is known")]
    UnknownPeople(Vec<FieldError>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Hub {
    /// Stores a request with its first deliveries and its event, then sets them going. What this returns is durable.
    ///
    /// # Errors
    ///
    /// [`CreateError`]; nothing is stored then.
    pub async fn create(
        &self,
        asker: Asker,
        draft: Draft,
        idempotency: Option<Idempotency>,
    ) -> Result<Created, CreateError> {
        let draft = draft.check().map_err(CreateError::Invalid)?;
        let mut faults = self.route_faults(&draft.channels());
        if draft.callback_url().is_some() && asker.token.is_none() {
            let detail = "is for service tokens, whose secret signs what is sent there: leave it out";
            faults.push(FieldError::new("callback_url", detail));
        }
        if !faults.is_empty() {
            return Err(CreateError::Invalid(faults));
        }
        let people = self.find_people(draft.to()).await?;
        let terms = draft.terms(people.iter().map(|person| person.user.clone()).collect());
        let created_at = self.clock.now();
        let request = Request {
            id: self.ids.next(),
            asker,
            created_at,
            expires_at: created_at.after(std::time::Duration::from_secs(terms.expires_in.into())),
            terms,
            created_event: EventId::default(),
            state: RequestState::Pending,
        };
        let deliveries = people.iter().flat_map(|person| self.first_deliveries(&request, person)).collect();
        let deadline = request.expires_at;
        let _wake = OnDrop(|| {
            self.routes_due.notify_one();
            self.sends_due.notify_one();
            self.note_deadline(deadline);
        });
        Ok(self.store.create(NewRequest { request, deliveries, idempotency }).await?)
    }

    /// Steps over channels that do not exist, and addresses where people are known by their account.
    fn route_faults(&self, steps: &[RouteStep]) -> Vec<FieldError> {
        let fault = |(index, step): (usize, &RouteStep)| {
            let Some(running) = self.channels.get(&step.channel) else {
                let known = self.channels.iter().map(|running| running.channel().name().to_string());
                let detail = format!("there is no channel named `{}`", step.channel);
                return Some(FieldError::new(format!("channels[{index}]"), detail).allowing(known));
            };
            let by_account = running.channel().capabilities().account_addresses;
            let detail = "this channel knows people by their account: leave the address out";
            (by_account && step.address.is_some())
                .then(|| FieldError::new(format!("channels[{index}].address"), detail))
        };
        steps.iter().enumerate().filter_map(fault).collect()
    }

    /// The people named, each once, in the order named.
    async fn find_people(&self, names: &[String]) -> Result<Vec<Person>, CreateError> {
        let found = self.store.people(names).await?;
        let mut people: Vec<Person> = Vec::with_capacity(found.len());
        let mut faults = Vec::new();
        for (index, (name, person)) in names.iter().zip(found).enumerate() {
            match person {
                Some(person) if people.iter().any(|other| other.user.id == person.user.id) => {}
                Some(person) => people.push(person),
                None => {
                    let detail = format!("nobody here is known as `{name}` by username, confirmed e-mail or user id");
                    faults.push(FieldError::new(format!("to[{index}]"), detail));
                }
            }
        }
        if faults.is_empty() { Ok(people) } else { Err(CreateError::UnknownPeople(faults)) }
    }

    fn first_deliveries(&self, request: &Request, person: &Person) -> Vec<Delivery> {
        let route = route::plan(&request.terms, person, &self.channels);
        let due = person.preferences.due(request, request.created_at);
        route::first(route, request.terms.strategy)
            .into_iter()
            .map(|stop| self.delivery(request.id, person.user.id, stop, due))
            .collect()
    }
}
