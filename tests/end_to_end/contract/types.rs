//! Every example is claimed by one line of these tables, and is what the program's own type reads and writes.

use std::collections::BTreeSet;

use hearback::{
    account::{AddressDocument, LinkDocument, ServiceToken, UserDocument},
    api::{
        addresses::{AddressClaimDraft, AddressDraft},
        auth::{Refresh, Tokens},
        channels::ChannelDocument,
        feedback::{AcceptedDocument, ResponseDraft},
        health::{Alive, Health},
        limits::LimitsDocument,
        list::Page,
        my_addresses::AddressCode,
        preferences::PreferencesDocument,
        problem::{ProblemDocument, ProblemKind},
        site::RootDocument,
        stream::StreamEvent,
    },
    auth::{
        AccountChanges, CreatedServiceUser, CreatedToken, NewServiceToken, NewServiceUser, PasswordChange, Registration,
    },
};
use hearback_adapters::websocket::protocol::{ClientMessage, HubMessage};
use hearback_core::{
    callback::{CallbackDocument, CallbackKind, CallbackMessage},
    feedback::{DeliveryDocument, Draft, RequestDocument, Response},
    person::Preferences,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{example, files, path};

/// A body: its file in `bodies/`, how its type reads it and writes it back, and where the OpenAPI document has it.
pub struct Body(pub &'static str, pub fn(&Value) -> Value, pub Place);

/// Where a body stands: an operation's id, and the status when it is an answer.
#[derive(Clone, Copy)]
pub enum Place {
    Sent(&'static str),
    Answer(&'static str, &'static str),
}

use Place::{Answer, Sent};

pub const BODIES: [Body; 45] = [
    Body("auth.register.json", again::<Registration>, Sent("register")),
    Body("auth.refresh.json", read_only::<Refresh>, Sent("refresh")),
    Body("auth.tokens.json", again::<Tokens>, Answer("register", "201")),
    Body("user.json", again::<UserDocument>, Answer("get_me", "200")),
    Body("user.list.json", again::<Page<UserDocument>>, Answer("list_users", "200")),
    Body("user.change.json", again::<AccountChanges>, Sent("change_user")),
    Body("user.changed.json", again::<UserDocument>, Answer("change_user", "200")),
    Body("user.service.create.json", again::<NewServiceUser>, Sent("create_service_user")),
    Body("user.service.created.json", again::<CreatedServiceUser>, Answer("create_service_user", "201")),
    Body("auth.password.json", again::<PasswordChange>, Sent("change_password")),
    Body("limits.json", again::<LimitsDocument>, Answer("get_limits", "200")),
    Body("address.create.json", again::<AddressDraft>, Sent("add_address")),
    Body("address.json", again::<AddressDocument>, Answer("add_address", "201")),
    Body("address.waiting.json", again::<AddressDocument>, Answer("claim_address", "201")),
    Body("address.link.create.json", read_only::<AddressClaimDraft>, Sent("claim_address")),
    Body("address.link.json", again::<LinkDocument>, Answer("claim_address", "201")),
    Body("address.confirm.json", read_only::<AddressCode>, Sent("confirm_address")),
    Body("preferences.json", again::<PreferencesDocument>, Answer("get_preferences", "200")),
    Body("preferences.set.json", again::<Preferences>, Sent("set_preferences")),
    Body("address.list.json", again::<Page<AddressDocument>>, Answer("list_my_addresses", "200")),
    Body("token.create.json", again::<NewServiceToken>, Sent("create_token")),
    Body("token.created.json", again::<CreatedToken>, Answer("create_token", "201")),
    Body("token.list.json", again::<Page<ServiceToken>>, Answer("list_tokens", "200")),
    Body("feedback.create.approval.json", again::<Draft>, Sent("create_feedback")),
    Body("feedback.create.choice.json", again::<Draft>, Sent("create_feedback")),
    Body("feedback.create.input.json", again::<Draft>, Sent("create_feedback")),
    Body("feedback.create.form.json", again::<Draft>, Sent("create_feedback")),
    Body("feedback.read.approval.pending.json", again::<RequestDocument>, Answer("create_feedback", "201")),
    Body("feedback.read.choice.answered.json", again::<RequestDocument>, Answer("get_feedback", "200")),
    Body("feedback.read.input.expired.json", again::<RequestDocument>, Answer("get_feedback", "200")),
    Body("feedback.read.form.cancelled.json", again::<RequestDocument>, Answer("cancel_feedback", "200")),
    Body("feedback.list.json", again::<Page<RequestDocument>>, Answer("list_feedback", "200")),
    Body("response.create.approval.json", again::<ResponseDraft>, Sent("answer_feedback")),
    Body("response.create.choice.json", again::<ResponseDraft>, Sent("answer_feedback")),
    Body("response.create.input.json", again::<ResponseDraft>, Sent("answer_feedback")),
    Body("response.create.form.json", again::<ResponseDraft>, Sent("answer_feedback")),
    Body("response.accepted.json", again::<AcceptedDocument>, Answer("answer_feedback", "200")),
    Body("response.list.json", again::<Page<Response>>, Answer("list_responses", "200")),
    Body("delivery.list.json", again::<Page<DeliveryDocument>>, Answer("list_deliveries", "200")),
    Body("callback.list.json", again::<Page<CallbackDocument>>, Answer("list_callbacks", "200")),
    Body("channel.list.json", again::<Page<ChannelDocument>>, Answer("list_channels", "200")),
    Body("root.json", again::<RootDocument>, Answer("get_root", "200")),
    Body("health.json", again::<Health>, Answer("get_health", "200")),
    Body("livez.json", again::<Alive>, Answer("get_livez", "200")),
    Body("readyz.json", again::<Alive>, Answer("get_readyz", "200")),
];

fn again<T: Serialize + DeserializeOwned>(example: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(example.clone()).unwrap()).unwrap()
}

/// For a type that is never written: it takes all its fields and no other.
fn read_only<T: DeserializeOwned>(example: &Value) -> Value {
    assert!(serde_json::from_value::<T>(json!({})).is_err());
    serde_json::from_value::<T>(example.clone()).map(|_| example.clone()).unwrap()
}

/// The values that `type` takes, as serde lists them.
fn variants<T: DeserializeOwned>() -> BTreeSet<String> {
    let error = serde_json::from_value::<T>(json!({"type": ""})).err().unwrap().to_string();
    let quoted = error.split('`').skip(1).step_by(2);
    quoted.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn messages<T: Serialize + DeserializeOwned>(folder: &str) -> Vec<String> {
    let claimed: Vec<_> = variants::<T>().iter().map(|name| format!("{folder}/{name}.json")).collect();
    assert!(!claimed.is_empty());
    for (file, name) in claimed.iter().zip(variants::<T>()) {
        let example = example(file);
        assert_eq!(example["type"], name, "{file}");
        assert_eq!(again::<T>(&example), example, "{file}");
    }
    claimed
}

#[test]
fn every_file_is_read_and_written_back_by_the_programs_own_types() {
    let mut claimed = vec![String::from("README.md")];
    for Body(name, again, _) in BODIES {
        let file = format!("bodies/{name}");
        let example = example(&file);
        assert_eq!(again(&example), example, "{file}");
        claimed.push(file);
    }
    for kind in ProblemKind::ALL {
        let file = format!("problems/{}.json", kind.code());
        let example = example(&file);
        assert_eq!(again::<ProblemDocument>(&example), example, "{file}");
        assert_eq!(example["type"], format!("urn:hearback:problem:{}", kind.code()), "{file}");
        assert_eq!((&example["title"], &example["status"]), (&json!(kind.title()), &json!(kind.status())), "{file}");
        claimed.push(file);
    }
    for kind in CallbackKind::ALL {
        let file = format!("callbacks/{}.json", kind.as_str());
        let example = example(&file);
        assert_eq!(again::<CallbackMessage>(&example), example, "{file}");
        assert_eq!(example["type"], kind.as_str(), "{file}");
        claimed.push(file);
    }
    claimed.extend(messages::<ClientMessage>("socket/client"));
    claimed.extend(messages::<HubMessage>("socket/hub"));
    claimed.extend(messages::<StreamEvent>("stream"));
    claimed.sort();
    assert_eq!(claimed, files(&path("docs/contract")), "claimed by a test, and there");
}
