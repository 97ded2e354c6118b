//! Accounts and signing in.

use std::sync::Arc;

use poem::{IntoResponse, Request, Response};
use poem_openapi::{
    ApiResponse, OpenApi,
    registry::{MetaResponses, Registry},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Tag,
    answer::{Created, Json, NoContent, WithCookies},
    body::{Body, Form, OptionalBody},
    problem::Problem,
};
use crate::{
    account::UserDocument,
    app::App,
    auth::{PasswordChange, Registration, SignIn, SignedIn},
};

/// A username or an e-mail, and the password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The username or the e-mail.
    username: String,
    /// The password.
    password: String,
}

/// A refresh token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The refresh token of the answer before. It is good for one use.
    refresh_token: String,
}

/// What calls are made with.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// Send it as `Authorization: Bearer …`.
    pub access_token: String,
    /// Fetches the next tokens, once.
    pub refresh_token: String,
    /// `bearer`.
    pub token_type: String,
    /// Seconds that the access token lives.
    pub expires_in: u64,
}

impl From<SignIn> for Tokens {
    fn from(sign_in: SignIn) -> Self {
        Self {
            access_token: sign_in.access_token,
            refresh_token: sign_in.refresh_token,
            token_type: "bearer".into(),
            expires_in: sign_in.expires_in,
        }
    }
}

/// New tokens, the way that the old one came.
pub enum Refreshed {
    /// In the body.
    Tokens(Json<Tokens>),
    /// In cookies.
    Cookies(WithCookies<NoContent>),
}

impl IntoResponse for Refreshed {
    fn into_response(self) -> Response {
        match self {
            Self::Tokens(tokens) => tokens.into_response(),
            Self::Cookies(cookies) => cookies.into_response(),
        }
    }
}

impl ApiResponse for Refreshed {
    fn meta() -> MetaResponses {
        let mut meta = Json::<Tokens>::meta();
        meta.responses.extend(WithCookies::<NoContent>::meta().responses);
        meta
    }

    fn register(registry: &mut Registry) {
        Json::<Tokens>::register(registry);
    }
}

/// The operations.
pub struct AuthApi(pub Arc<App>);

#[expect(clippy::unused_async, reason = "every operation is asynchronous, also one that waits for nothing")]
#[OpenApi(prefix_path = "/api/auth", tag = "Tag::Auth")]
impl AuthApi {
    /// Make an account
    ///
    /// Signs it in. The first account is the administrator's.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(&self, request: &Request, body: Body<Registration>) -> Result<Created<Tokens>, Problem> {
        let from = self.0.auth.attempts.address(request);
        let sign_in = self.0.auth.register(body.value, from).await?;
        Created::new(&sign_in.into())
    }

    /// Sign in
    ///
    /// For programs of people; agents use service tokens, and pages `POST /api/auth/session`.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(&self, request: &Request, Form(login): Form<Login>) -> Result<Json<Tokens>, Problem> {
        let from = self.0.auth.attempts.address(request);
        let sign_in = self.0.auth.log_in(&login.username, login.password, from).await?;
        Ok(Json(sign_in.into()))
    }

    /// Fetch new tokens
    ///
    /// A refresh token is good for one use: showing it again ends the whole sign-in. Pages send no body: their cookies, with
    /// `X-CSRF-Token`, are renewed with 204.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        request: &Request,
        OptionalBody(body): OptionalBody<Refresh>,
    ) -> Result<Refreshed, Problem> {
        let auth = &self.0.auth;
        if let Some(body) = body {
            return Ok(Refreshed::Tokens(Json(auth.refresh(&body.refresh_token).await?.into())));
        }
        let headers = request.headers();
        let sign_in = auth.refresh(auth.refresh_cookie(headers)?).await?;
        Ok(Refreshed::Cookies(WithCookies(NoContent, auth.cookies.set(&sign_in, headers))))
    }

    /// Sign out
    ///
    /// Ends the sign-in: its access and refresh tokens cease to work.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, SignedIn(person): SignedIn) -> Result<NoContent, Problem> {
        self.0.auth.sign_out(person.sign_in).await?;
        Ok(NoContent)
    }

    /// Your account
    #[oai(path = "/me", method = "get", operation_id = "get_me")]
    async fn me(&self, SignedIn(person): SignedIn) -> Result<Json<UserDocument>, Problem> {
        Ok(Json(person.user))
    }

    /// Change your password
    ///
    /// Every other sign-in of yours ends. Service tokens stay as they are. For people.
    #[oai(path = "/password", method = "post", operation_id = "change_password")]
    async fn change_password(
        &self,
        SignedIn(person): SignedIn,
        body: Body<PasswordChange>,
    ) -> Result<NoContent, Problem> {
        self.0.auth.change_password(&person, body.value).await?;
        Ok(NoContent)
    }

    /// Sign in on a page
    ///
    /// The tokens come in cookies that scripts cannot read, and not in the body. Calls that change something must then
    /// repeat the cookie `hb_csrf` in the header `X-CSRF-Token`.
    #[oai(path = "/session", method = "post", operation_id = "open_session")]
    async fn open_session(
        &self,
        request: &Request,
        Form(login): Form<Login>,
    ) -> Result<WithCookies<Json<UserDocument>>, Problem> {
        let auth = &self.0.auth;
        let from = auth.attempts.address(request);
        let sign_in = auth.log_in(&login.username, login.password, from).await?;
        let cookies = auth.cookies.set(&sign_in, request.headers());
        Ok(WithCookies(Json(sign_in.account.into()), cookies))
    }

    /// Sign out on a page
    ///
    /// Ends the sign-in and takes its cookies away.
    #[oai(path = "/session", method = "delete", operation_id = "close_session")]
    async fn close_session(&self, SignedIn(person): SignedIn) -> Result<WithCookies<NoContent>, Problem> {
        self.0.auth.sign_out(person.sign_in).await?;
        Ok(WithCookies(NoContent, self.0.auth.cookies.clear()))
    }
}
