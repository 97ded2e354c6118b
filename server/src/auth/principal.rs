//! Who makes a call, and what they may do.

use hearback_core::{
    Timestamp,
    channel::ChannelName,
    person::{Asker, Reader, TokenRef, UserRef},
};
use http::{HeaderMap, Method, header};
use poem::Request;
use tokio::{select, sync::broadcast};
use uuid::Uuid;

use super::{Auth, cookies, service_token};
use crate::{
    account::{Account, Over, Role, TokenScope, UserDocument},
    api::problem::Problem,
    digest,
};

const NOBODY: &str = "Send a token as `Authorization: Bearer TOKEN`, or sign in on the page.";

/// How a person shows who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// By an access token in the `Authorization` header.
    Bearer,
    /// By the page's cookies.
    Cookie,
}

/// A person who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their account.
    pub user: UserDocument,
    /// Their sign-in.
    pub sign_in: Uuid,
    /// How they show it.
    pub via: Via,
    /// When the sign-in ends, unless it is renewed until then.
    pub expires_at: Timestamp,
}

/// An agent with a service token.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Whose token it is.
    pub owner: UserRef,
    /// The token.
    pub token: TokenRef,
    /// What it may do.
    pub scopes: Vec<TokenScope>,
    /// What its owner may do: no token may do more.
    pub owner_role: Role,
    /// When the token ceases to work, if it does.
    pub expires_at: Option<Timestamp>,
}

/// Who makes a call.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A person.
    Person(Person),
    /// An agent.
    Agent(Agent),
}

impl Person {
    /// The person, as others see them.
    #[must_use]
    pub fn user_ref(&self) -> UserRef {
        UserRef { id: self.user.id, username: self.user.username.clone() }
    }

    /// The channel that their answers come by: `web` with cookies, `api` with a token.
    #[must_use]
    pub const fn channel(&self) -> &'static str {
        match self.via {
            Via::Bearer => ChannelName::API,
            Via::Cookie => ChannelName::WEB,
        }
    }
}

impl Principal {
    /// The account that is responsible: the person's, or that of the token's owner.
    #[must_use]
    pub fn user(&self) -> UserRef {
        match self {
            Self::Person(person) => person.user_ref(),
            Self::Agent(agent) => agent.owner.clone(),
        }
    }

    /// Who asks when this principal does.
    #[must_use]
    pub fn asker(&self) -> Asker {
        match self {
            Self::Person(person) => Asker { user: person.user_ref(), token: None },
            Self::Agent(agent) => Asker { user: agent.owner.clone(), token: Some(agent.token.clone()) },
        }
    }

    /// Whose events it reads: a person what is asked of them, a service token what it asked.
    #[must_use]
    pub const fn reader(&self) -> Reader {
        match self {
            Self::Person(person) => Reader::Person(person.user.id),
            Self::Agent(agent) => Reader::Token(agent.token.id),
        }
    }

    /// The id that its idempotency keys belong to: of the token, or of the account.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.reader().uuid()
    }

    /// Refuses an agent whose token lacks a scope. People need none.
    ///
    /// # Errors
    ///
    /// `forbidden`, naming the scope.
    pub fn require(&self, scope: TokenScope) -> Result<(), Problem> {
        match self {
            Self::Agent(agent) if !agent.scopes.contains(&scope) => {
                Err(Problem::forbidden(format!("Your token lacks the scope `{}`.", scope.as_str())))
            }
            _ => Ok(()),
        }
    }

    /// The same principal, if it manages the hub: an administrator, or an agent with the scope `admin` whose owner is one.
    ///
    /// # Errors
    ///
    /// `forbidden` otherwise.
    pub fn into_administrator(self) -> Result<Self, Problem> {
        self.require(TokenScope::Admin)?;
        let role = match &self {
            Self::Person(person) => person.user.role,
            Self::Agent(agent) => agent.owner_role,
        };
        match role {
            Role::Administrator => Ok(self),
            Role::Member => Err(Problem::forbidden("This is for administrators.")),
        }
    }

    /// The person.
    ///
    /// # Errors
    ///
    /// `forbidden` when it is an agent.
    pub fn into_person(self) -> Result<Person, Problem> {
        match self {
            Self::Person(person) => Ok(person),
            Self::Agent(_) => Err(Problem::forbidden("This is for people; you called with a service token.")),
        }
    }
}

impl Principal {
    /// When what this principal called with ceases to be good by itself, as far as was known at the call.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Person(person) => Some(person.expires_at),
            Self::Agent(agent) => agent.expires_at,
        }
    }

    /// Whether what is over is what this principal called with.
    fn is_over_with(&self, what: Over) -> bool {
        match (what, self) {
            (Over::Token(id), Self::Agent(agent)) => agent.token.id == id,
            (Over::SignIn(id), Self::Person(person)) => person.sign_in == id,
            (Over::Account(id), Self::Person(person)) => person.user.id == id,
            (Over::Account(id), Self::Agent(agent)) => agent.owner.id == id,
            _ => false,
        }
    }
}

impl Auth {
    /// Finds out who makes a call: by the `Authorization` header if there is one, else by the page's cookies. A call with
    /// cookies that changes something must repeat the CSRF cookie and come from a known origin.
    ///
    /// # Errors
    ///
    /// `unauthenticated`, or `origin`.
    pub async fn authenticate(&self, request: &Request) -> Result<Principal, Problem> {
        let headers = request.headers();
        if let Some(token) = bearer(headers)? {
            return self.authenticate_bearer(token).await;
        }
        let token = cookies::cookie(headers, cookies::ACCESS).ok_or_else(|| Problem::unauthenticated(NOBODY))?;
        if !is_safe(request.method()) {
            self.require_page(headers)?;
        }
        self.person(token, Via::Cookie).await.map(Principal::Person)
    }

    /// Returns when the service token or sign-in that `principal` called with is no longer good: it was ended, or it has
    /// expired. A sign-in that was renewed meanwhile is good for longer. What it returns is `unauthenticated`; a fault of the
    /// store when that had to be asked and did not answer, which says nothing about the token.
    pub async fn until_over(&self, principal: &Principal, mut over: broadcast::Receiver<Over>) -> Problem {
        let mut until = principal.expires_at();
        loop {
            select! {
                heard = over.recv() => match heard {
                    Ok(what) if principal.is_over_with(what) => return ended(),
                    // What was missed may have been this one: the store knows.
                    Ok(Over::Unknown) | Err(_) => {}
                    Ok(_) => continue,
                },
                () = self.reached(until) => {}
            }
            let now = self.clock.now();
            let good = match principal {
                Principal::Person(person) => self.accounts.sign_in_end(person.sign_in).await.map(|end| {
                    until = end;
                    end.is_some_and(|end| end > now)
                }),
                Principal::Agent(agent) => self.accounts.token_lives(agent.token.id, now).await,
            };
            match good {
                Ok(true) => {}
                Ok(false) => return ended(),
                Err(error) => return error.into(),
            }
        }
    }

    async fn reached(&self, moment: Option<Timestamp>) {
        match moment {
            Some(moment) => self.clock.sleep_until(moment).await,
            None => std::future::pending().await,
        }
    }

    /// Finds out whose token this is: a service token or an access token.
    ///
    /// # Errors
    ///
    /// `unauthenticated`.
    pub async fn authenticate_bearer(&self, token: &str) -> Result<Principal, Problem> {
        if !token.starts_with(service_token::PREFIX) {
            return self.person(token, Via::Bearer).await.map(Principal::Person);
        }
        let found = self.accounts.token_by_hash(&digest::sha256(token.as_bytes()), self.clock.now()).await?;
        let unknown = || Problem::unauthenticated("The service token is unknown, revoked or expired.");
        let (token, account) = found.ok_or_else(unknown)?;
        self.touch(token.id);
        let reference = TokenRef { id: token.id, name: token.name };
        Ok(Principal::Agent(Agent {
            owner: account.user,
            owner_role: account.role,
            token: reference,
            scopes: token.scopes,
            expires_at: token.expires_at,
        }))
    }

    /// The person who is signed in on the page in the browser that calls. A form that is sent without a script cannot repeat
    /// the CSRF cookie in a header: what changes something must come from a known origin, and hold what no other page knows.
    ///
    /// # Errors
    ///
    /// `unauthenticated`, or `origin`.
    pub async fn person_in_browser(&self, method: &Method, headers: &HeaderMap) -> Result<Person, Problem> {
        let token = cookies::cookie(headers, cookies::ACCESS).ok_or_else(|| Problem::unauthenticated(NOBODY))?;
        if !is_safe(method) {
            self.origins.require_known(headers)?;
        }
        self.person(token, Via::Cookie).await
    }

    /// Refuses a call with cookies that does not come from the page: of a known origin, repeating the CSRF cookie.
    ///
    /// # Errors
    ///
    /// `origin`.
    pub fn require_page(&self, headers: &HeaderMap) -> Result<(), Problem> {
        self.origins.require_known(headers)?;
        cookies::require_csrf(headers)
    }

    /// The refresh token in the page's cookies, of a call that comes from the page.
    ///
    /// # Errors
    ///
    /// `unauthenticated` when there is none, or `origin`.
    pub fn refresh_cookie<'a>(&self, headers: &'a HeaderMap) -> Result<&'a str, Problem> {
        let missing = || Problem::unauthenticated("Send {\"refresh_token\": …}, or sign in on the page.");
        let token = cookies::cookie(headers, cookies::REFRESH).ok_or_else(missing)?;
        self.require_page(headers)?;
        Ok(token)
    }

    async fn person(&self, token: &str, via: Via) -> Result<Person, Problem> {
        let now = self.clock.now();
        let access = self.access_tokens.read(token, now).map_err(Problem::unauthenticated)?;
        let (end, account) =
            tokio::try_join!(self.accounts.sign_in_end(access.sign_in), self.accounts.account(access.user))?;
        match end.filter(|end| *end > now).zip(account.filter(Account::is_active)) {
            Some((expires_at, account)) => {
                Ok(Person { user: account.into(), sign_in: access.sign_in, via, expires_at })
            }
            None => Err(Problem::unauthenticated("You have signed out, or your sign-in was revoked.")),
        }
    }
}

fn ended() -> Problem {
    Problem::unauthenticated("The token or sign-in is no longer valid.")
}

/// Whether calls with this method change nothing.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The token in the `Authorization` header, if there is one.
///
/// # Errors
///
/// `unauthenticated` when the header says something else.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), more) = (values.next(), values.next()) else { return Ok(None) };
    let token = value.to_str().ok().filter(|_| more.is_none()).and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
    });
    let wrong = || Problem::unauthenticated("The Authorization header must be `Bearer TOKEN`.");
    token.map(Some).ok_or_else(wrong)
}
