//! The suite that every [`Store`] passes. [`store_conformance!`] makes one test of each case, so that a failure names it.
//!
//! Nothing here sleeps: time is passed in, and a [`World`] moves its own.

pub mod brought;
pub mod callbacks;
pub mod changes;
pub mod deliveries;
pub mod events;
pub mod receipts;
pub mod requests;
pub mod responses;
pub mod retention;
pub mod routes;
pub mod servers;
pub mod settlements;
pub mod undeliverable;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hearback_core::{
    Timestamp,
    channel::{Address, ChannelName, Receipt, Recorded},
    clock::{Clock, ManualClock},
    event::{Bus, EventId},
    feedback::{Delivery, DeliveryState, Question, Request, RequestState, Strategy, Terms},
    id::{Ids, ServerId, TokenId},
    person::{Asker, Person, Preferences, TokenRef, UserRef},
    store::{Candidate, Claims, Created, FinishedSend, NewRequest, SendClaim, Standing, Store},
};
use serde_json::{Map, Value, json};

/// Makes one test of each case of the suite, for the harness that the expression gives.
#[macro_export]
macro_rules! store_conformance {
    ($harness:expr) => {
        $crate::store_conformance! { $harness;
            requests::a_request_reads_back_as_it_was_put,
            requests::lists_are_paged_newest_first_and_hold_their_scope,
            requests::lists_hold_one_status,
            requests::a_repeated_creation_is_answered_with_the_first,
            requests::one_of_many_creations_under_one_key_is_stored,
            requests::keys_are_forgotten_by_age,
            requests::people_are_found_by_what_is_theirs,
            responses::the_first_valid_response_of_300_wins,
            responses::every_response_is_kept_with_its_verdict,
            responses::a_repeated_event_is_stored_once,
            responses::a_response_after_an_unnoticed_deadline_finds_the_request_expired,
            responses::requests_expire_in_the_order_of_their_deadlines,
            responses::the_asker_cancels_what_is_pending,
            deliveries::two_claimers_never_get_the_same,
            deliveries::what_a_dead_claimer_left_is_claimed_again,
            deliveries::an_attempt_without_a_call_is_taken_back,
            deliveries::an_attempt_ends_with_its_state,
            deliveries::a_finish_without_its_lease_changes_nothing,
            deliveries::many_attempts_end_at_once,
            deliveries::an_acknowledgement_never_goes_back,
            deliveries::what_was_skipped_is_queued_again,
            deliveries::deliveries_are_paged_and_counted,
            receipts::a_receipt_is_noted_for_what_is_open,
            receipts::a_noted_receipt_outlives_the_end_of_its_attempt,
            receipts::a_receipt_after_the_end_is_to_be_settled,
            receipts::a_receipt_voids_a_look_that_has_begun,
            brought::a_request_is_brought_where_it_was_not_sent,
            brought::what_is_there_already_is_queued_or_stays,
            brought::what_is_over_is_not_brought,
            brought::a_question_is_known_by_its_receipt,
            brought::what_there_is_is_counted,
            routes::a_due_route_is_claimed_with_all_that_it_needs,
            routes::two_claimers_share_the_routes,
            routes::a_route_goes_on_as_it_is_told,
            routes::a_lost_lease_changes_nothing,
            routes::an_attempt_that_ends_takes_the_route_from_its_claimer,
            routes::a_route_ends_with_its_request,
            routes::what_is_out_at_an_address_is_hastened,
            routes::all_pending_routes_are_hastened,
            undeliverable::that_nobody_is_reached_is_told_once,
            undeliverable::what_is_out_after_all_is_not_given_up,
            undeliverable::an_empty_route_counts_as_exhausted,
            undeliverable::nothing_is_told_of_what_has_ended,
            servers::a_start_looks_at_every_route,
            servers::the_next_server_finds_the_one_before_dead,
            servers::who_is_connected_is_known,
            servers::who_is_connected_to_the_service_is_so_for_every_server,
            servers::who_is_connected_to_a_dead_server_has_left,
            servers::what_is_due_goes_where_its_person_is,
            servers::what_is_left_for_a_server_is_due_when_its_life_ends,
            servers::a_route_comes_with_the_presence_of_its_person,
            servers::a_departure_hastens_what_is_out,
            servers::one_server_runs_a_channel,
            servers::of_many_servers_one_runs_a_channel,
            settlements::the_end_settles_what_nobody_saw_and_what_was_sent_falls_due,
            settlements::what_is_in_doubt_ends_unknown_whatever_came_after,
            settlements::what_was_sent_during_the_end_is_settled_too,
            settlements::settlements_are_tried_again_and_given_up,
            settlements::what_is_claimed_comes_with_how_its_person_likes_to_be_reached,
            callbacks::an_ending_is_told_to_who_asked_for_it,
            callbacks::an_unnoticed_deadline_is_told_as_such,
            callbacks::that_nobody_is_reached_is_told_back,
            callbacks::two_claimers_share_the_callbacks,
            callbacks::a_callback_stands_as_its_attempt_ended,
            callbacks::a_receiver_that_is_gone_stays_gone_for_its_token,
            events::events_come_in_order_to_those_they_concern,
            events::a_place_beyond_the_log_is_no_cursor,
            events::what_is_pending_is_told_again,
            events::the_bus_carries_events_in_the_order_of_their_ids,
            changes::what_becomes_of_a_delivery_is_told,
            changes::late_receipts_and_lost_settlements_are_told,
            changes::the_steps_of_a_route_are_told,
            changes::every_response_is_told_once,
            changes::the_log_of_a_request_is_read_by_itself,
            changes::the_bus_wakes_nobody_for_what_they_do_not_wait_for,
            retention::old_events_are_removed_from_the_beginning,
            retention::no_event_is_removed_from_between,
            retention::a_cursor_older_than_the_log_has_expired,
            retention::what_is_pending_outlives_its_events,
        }
    };
    ($harness:expr; $($module:ident::$case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::store::$module::$case(&$harness).await;
            }
        )*
    };
}

/// A kind of store to put through the suite.
#[async_trait]
pub trait Harness: Send + Sync {
    /// An empty store, with the bus that it publishes on.
    async fn fresh(&self) -> (Arc<dyn Store>, Arc<Bus>);

    /// Adds a person, with their confirmed e-mail if they have one, to the store that was made last.
    async fn add_person(&self, person: Person, email: Option<String>);
}

/// The moment at which every world begins.
const BEGIN: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
/// How long a request is open unless a case says otherwise.
pub(crate) const OPEN: Duration = Duration::from_hours(1);

/// How long work is claimed for.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// An empty store with its clock, its ids, and an agent that asks.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<Bus>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ids: Ids,
    pub(crate) asker: Asker,
    pub(crate) channel: ChannelName,
    /// The server that claims, unless a case has others.
    pub(crate) server: ServerId,
}

impl World {
    pub(crate) async fn new(harness: &dyn Harness) -> Self {
        let (store, bus) = harness.fresh().await;
        let clock = Arc::new(ManualClock::at(BEGIN));
        let ids = Ids::seeded(clock.clone(), 7);
        let user = UserRef { id: ids.next(), username: "owner".into() };
        let token = Some(TokenRef { id: ids.next(), name: "deployer".into() });
        let (server, channel) = (ids.next(), name("slack"));
        let world = Self { store, bus, clock, ids, asker: Asker { user, token }, channel, server };
        world.add(harness, &world.asker.user, None).await;
        world
    }

    /// A world in which these people can be asked; their address on the world's channel is their username.
    pub(crate) async fn with_people(harness: &dyn Harness, names: &[&str]) -> (Self, Vec<UserRef>) {
        let world = Self::new(harness).await;
        let people: Vec<_> =
            names.iter().map(|name| UserRef { id: world.ids.next(), username: (*name).into() }).collect();
        for user in &people {
            world.add(harness, user, Some(format!("{}@example.com", user.username))).await;
        }
        (world, people)
    }

    async fn add(&self, harness: &dyn Harness, user: &UserRef, email: Option<String>) {
        let addresses = vec![(self.channel.clone(), address(&user.username))];
        harness.add_person(Person { user: user.clone(), preferences: Preferences::default(), addresses }, email).await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets a second pass, so that later ids are greater.
    pub(crate) fn tick(&self) {
        self.clock.advance(Duration::from_secs(1));
    }

    pub(crate) fn token(&self) -> TokenId {
        self.asker.token.as_ref().expect("the world's asker has a token").id
    }

    /// An approval asked of these people, with one delivery queued for each of them.
    pub(crate) fn ask(&self, to: &[UserRef]) -> NewRequest {
        let now = self.now();
        let request = Request {
            id: self.ids.next(),
            asker: self.asker.clone(),
            terms: terms(to.to_vec()),
            created_at: now,
            expires_at: now.after(OPEN),
            created_event: EventId(0),
            state: RequestState::Pending,
        };
        let deliver = |user: &UserRef| Delivery {
            id: self.ids.next(),
            request_id: request.id,
            user_id: user.id,
            channel: self.channel.clone(),
            address: address(&user.username),
            state: DeliveryState::Queued { due: now, reason: None },
            in_doubt: false,
            attempts: Vec::new(),
        };
        let deliveries = to.iter().map(deliver).collect();
        NewRequest { request, deliveries, idempotency: None }
    }

    /// Stores what [`World::ask`] made.
    pub(crate) async fn create(&self, new: NewRequest) -> Arc<Request> {
        match self.store.create(new).await.expect("stored") {
            Created::New(request) => request,
            other => panic!("expected a new request, found {other:?}"),
        }
    }

    pub(crate) fn candidate(&self, request: &Request, by: &UserRef) -> Candidate {
        Candidate {
            id: self.ids.next(),
            request_id: request.id,
            by: Some(by.clone()),
            channel: self.channel.clone(),
            value: json!("approved"),
            comment: Some("go".into()),
            at: self.now(),
            event: None,
            standing: Standing::Valid,
        }
    }

    pub(crate) async fn respond(&self, candidate: Candidate) -> Recorded {
        self.store.respond(candidate).await.expect("recorded").expect("the request is known")
    }

    /// Claims all that is due to be sent, leased for [`LEASE`].
    pub(crate) async fn claim_sends(&self) -> Vec<SendClaim> {
        self.claim_up_to(100, self.now().after(LEASE)).await.claimed
    }

    /// Claims some of what is due to be sent.
    pub(crate) async fn claim_up_to(&self, limit: usize, lease: Timestamp) -> Claims<SendClaim> {
        self.store.claim_sends(self.server, self.now(), lease, limit).await.expect("claimed")
    }

    /// Lets every route of a pending request be looked at by `due`, as the start of a server does.
    pub(crate) async fn hasten_all_routes(&self, due: Timestamp) {
        let until = self.now().after(Duration::from_mins(1));
        self.store.stay(self.ids.next(), self.now(), until, due).await.expect("stays");
    }

    /// The end of a claimed attempt that went well.
    pub(crate) fn finished(&self, claim: &SendClaim, state: DeliveryState) -> FinishedSend {
        let DeliveryState::Sending { lease } = claim.delivery.state else {
            panic!("expected a claim, found {claim:?}")
        };
        let id = claim.delivery.id;
        FinishedSend {
            id,
            lease,
            state,
            attempted: true,
            error: None,
            in_doubt: false,
            route_due: None,
            now: self.now(),
        }
    }

    pub(crate) async fn finish(&self, end: FinishedSend) {
        self.store.finish_send(end).await.expect("finished");
    }

    /// The only delivery of a request.
    pub(crate) async fn delivery(&self, request: &Request) -> Delivery {
        let mut page = self.store.deliveries(request.id, None, 10).await.expect("read");
        assert_eq!(page.items.len(), 1, "expected one delivery");
        page.items.remove(0)
    }
}

/// The terms of an approval put to these people, good for an hour.
#[must_use]
pub fn terms(to: Vec<UserRef>) -> Terms {
    let metadata: Map<String, Value> = [("commit".to_owned(), json!("4f2a"))].into_iter().collect();
    Terms {
        question: Question::Approval,
        prompt: "Deploy 1.4.2 to production?".into(),
        context: Some("All checks **passed**.".into()),
        to,
        channels: Vec::new(),
        strategy: Strategy::Fallback,
        fallback_after: 300,
        expires_in: 3600,
        urgent: false,
        on_expiry: None,
        callback_url: None,
        session_id: None,
        metadata,
    }
}

pub(crate) fn receipt(text: &str) -> Receipt {
    Receipt::from(text.to_owned())
}

pub(crate) fn name(text: &str) -> ChannelName {
    text.parse().expect("a channel's name")
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

#[cfg(test)]
mod tests {
    use hearback_core::store::MemoryStore;

    use super::*;

    #[derive(Default)]
    struct Memory(std::sync::Mutex<Option<Arc<MemoryStore>>>);

    #[async_trait]
    impl Harness for Memory {
        async fn fresh(&self) -> (Arc<dyn Store>, Arc<Bus>) {
            let bus = Arc::new(Bus::default());
            let store = Arc::new(MemoryStore::new(bus.clone()));
            *self.0.lock().unwrap() = Some(store.clone());
            (store, bus)
        }

        async fn add_person(&self, person: Person, email: Option<String>) {
            self.0.lock().unwrap().as_ref().expect("a store").add_person(person, email);
        }
    }

    crate::store_conformance!(Memory::default());
}
