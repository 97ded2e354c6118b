//! The HTTP API: operations, and the page, the documentation and the health around them.
//!
//! An operation is a method of an `…Api` struct: it takes [`Authenticated`](crate::auth::Authenticated),
//! [`SignedIn`](crate::auth::SignedIn) or [`Administrator`](crate::auth::Administrator) first, then
//! [`body::Body`] and parameters, and answers with a type of [`answer`] or a [`problem::Problem`]. It describes itself; a
//! test holds that the description is whole.

pub mod addresses;
pub mod answer;
pub mod answer_page;
mod asset;
pub mod auth;
pub mod body;
pub mod callbacks;
pub mod channels;
pub mod decode;
mod docs;
pub mod feedback;
pub mod health;
pub mod idempotency;
pub mod limits;
pub mod list;
mod metrics;
mod middleware;
pub mod my_addresses;
mod openapi;
mod page;
mod parameter;
pub mod preferences;
mod prefix;
pub mod problem;
mod schema;
pub mod site;
mod socket;
pub mod stream;
mod strict;
mod tag;
pub mod tokens;
pub mod users;

use std::sync::Arc;

use poem::{Endpoint, IntoEndpoint, Response, Route, get};
use poem_openapi::{OpenApi, OpenApiService};

use crate::app::App;

pub use tag::Tag;

/// Every operation.
type Operations = (
    site::SiteApi,
    health::HealthApi,
    auth::AuthApi,
    tokens::TokensApi,
    users::UsersApi,
    addresses::AddressesApi,
    my_addresses::MyAddressesApi,
    preferences::PreferencesApi,
    limits::LimitsApi,
    feedback::FeedbackApi,
    answer_page::AnswerPageApi,
    stream::StreamApi,
    channels::ChannelsApi,
    callbacks::CallbacksApi,
);

fn operations(app: &Arc<App>) -> Operations {
    let app = || app.clone();
    (
        site::SiteApi::new(app()),
        health::HealthApi(app()),
        auth::AuthApi(app()),
        tokens::TokensApi(app()),
        users::UsersApi(app()),
        addresses::AddressesApi(app()),
        my_addresses::MyAddressesApi(app()),
        preferences::PreferencesApi(app()),
        limits::LimitsApi(app()),
        feedback::FeedbackApi(app()),
        answer_page::AnswerPageApi(app()),
        stream::StreamApi(app()),
        channels::ChannelsApi(app()),
        callbacks::CallbacksApi(app()),
    )
}

fn service(app: &Arc<App>) -> OpenApiService<Operations, ()> {
    OpenApiService::new(operations(app), "Hearback", env!("CARGO_PKG_VERSION"))
}

/// Everything that the server answers, below the path prefix.
#[must_use]
pub fn routes(app: Arc<App>) -> impl Endpoint<Output = Response> + 'static {
    let prefix = app.config.path_prefix.clone();
    let documented = app.clone();
    let docs = docs::Docs::new(move || service(&documented), prefix.clone());
    let below = Route::new()
        .nest("/", service(&app))
        .at("/assets/*path", get(page::Assets::default()))
        .at("/docs", get(docs.swagger()))
        .at("/docs/:script", get(docs.swagger_scripts()))
        .at("/redoc", get(docs.redoc()))
        .at("/redoc/:script", get(docs.redoc_scripts()))
        .at("/openapi.json", get(docs.openapi()))
        .at("/ws", get(socket::Socket(app.clone())))
        .at("/metrics", get(metrics::Metrics(app.clone())));
    let allowed = middleware::Allowed::of(&Operations::meta(), &prefix);
    middleware::Surrounded::new(prefix::below(prefix, below.into_endpoint()), app, allowed)
}

/// The OpenAPI document, as `/openapi.json` has it.
#[must_use]
pub fn openapi(app: &Arc<App>) -> serde_json::Value {
    openapi::document(&service(app), &app.config.path_prefix)
}
