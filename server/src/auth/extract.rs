//! How operations take who calls, and how they say so in the OpenAPI document.

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};

use super::{Person, Principal, cookies};
use crate::{api::problem::Problem, app::App};

/// Any principal: the extractor of operations for people and agents.
#[derive(Clone, Debug)]
pub struct Authenticated(pub Principal);

/// A person: the extractor of operations that are not for agents.
#[derive(Clone, Debug)]
pub struct SignedIn(pub Person);

/// Who manages the hub, in person or by a token with the scope `admin`: the extractor of operations for administrators.
#[derive(Clone, Debug)]
pub struct Administrator(pub Principal);

async fn principal(request: &Request) -> Result<Principal, Problem> {
    App::of(request)?.auth.authenticate(request).await
}

const BEARER: &str = "bearer";
const COOKIE: &str = "cookie";

fn describe(registry: &mut Registry) {
    let none = || MetaSecurityScheme {
        ty: "",
        description: None,
        name: None,
        key_in: None,
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    let bearer = MetaSecurityScheme {
        ty: "http",
        scheme: Some("bearer"),
        description: Some("A service token (`hb_…`) of an agent, or an access token of a person."),
        ..none()
    };
    let cookie = MetaSecurityScheme {
        ty: "apiKey",
        key_in: Some("cookie"),
        name: Some(cookies::ACCESS),
        description: Some(
            "The page's sign-in. Calls that change something also need the header `X-CSRF-Token`, equal to the cookie \
             `hb_csrf`, and a known `Origin`.",
        ),
        ..none()
    };
    registry.create_security_scheme(BEARER, bearer);
    registry.create_security_scheme(COOKIE, cookie);
}

macro_rules! security_scheme {
    ($($name:ident, $request:ident => $read:expr;)*) => {$(
        impl<'a> ApiExtractor<'a> for $name {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                describe(registry);
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![BEARER, COOKIE]
            }

            async fn from_request(
                $request: &'a Request,
                _: &mut RequestBody,
                _: ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                Ok(Self($read))
            }
        }
    )*};
}

security_scheme! {
    Authenticated, request => principal(request).await?;
    SignedIn, request => principal(request).await?.into_person()?;
    Administrator, request => principal(request).await?.into_administrator()?;
}
