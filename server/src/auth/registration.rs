//! Registering: the rules for names and e-mails, and the account that is made.

use std::{fmt, net::IpAddr};

use hearback_core::{error::FieldError, id::UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Auth, SignIn, password};
use crate::{
    account::{NewAccount, Registered},
    api::problem::{Problem, ProblemKind},
};

const EMAIL_MAX: usize = 254;
/// [`email_fault`] as a regular expression, for the document: on each side of the `@` no special character, and a dot
/// neither first nor last.
pub(super) const EMAIL: &str = concat!(
    r#"^[^\s@.<>()\[\],;:"\\\u0000-\u001f\u007f-\u009f]+(\.+[^\s@.<>()\[\],;:"\\\u0000-\u001f\u007f-\u009f]+)*"#,
    r#"@[^\s@.<>()\[\],;:"\\\u0000-\u001f\u007f-\u009f]+(\.+[^\s@.<>()\[\],;:"\\\u0000-\u001f\u007f-\u009f]+)*$"#,
);
/// What a username is, for the document.
pub(super) const USERNAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";
const USERNAME_MIN: usize = 2;
const USERNAME_MAX: usize = 40;
const USERNAME_RULE: &str =
    "expected 2 to 40 of a-z, 0-9, `.`, `_` and `-`, beginning with a letter or number, and not a UUID";

/// An account to make.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The e-mail, which also signs in.
    #[schemars(length(min = 3, max = 254), regex(pattern = EMAIL))]
    pub email: String,
    /// 8 to 256 characters, one of them a number.
    #[schemars(length(min = 8, max = 256))]
    pub password: String,
    /// The name that agents ask by: 2 to 40 of a–z, 0–9, `.`, `_` and `-`, beginning with a letter or number. Made from
    /// the e-mail when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 40), regex(pattern = USERNAME))]
    pub username: Option<String>,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Auth {
    /// Whether there is no account yet, and whether anybody may make one.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn registration(&self) -> Result<(bool, bool), Problem> {
        let first = self.accounts.is_empty().await?;
        Ok((first, first || self.registration_open))
    }

    /// Makes an account and signs it in.
    ///
    /// # Errors
    ///
    /// `registration_closed`, `invalid`, or `taken` with the field; `too_many_requests` after too many log-ins from this address
    /// that failed, or registrations of what was taken.
    pub async fn register(&self, new: Registration, from: Option<IpAddr>) -> Result<SignIn, Problem> {
        // Looked at first, so that a closed hub hashes nothing for strangers; the store decides.
        if !self.registration().await?.1 {
            return Err(closed());
        }
        let (email, username) = check(&new).map_err(Problem::invalid)?;
        // Before anything is hashed, and no faster than log-ins may fail: it tells which accounts there are.
        let mut clash = None;
        let look = async {
            for (field, value) in [("email", &email), ("username", &username)] {
                if self.accounts.account_by_login(value).await?.is_some() {
                    clash = clash.or(Some(field));
                }
            }
            Ok(clash.is_none())
        };
        self.attempts.guarded_names(from, look).await?;
        if let Some(field) = clash {
            return Err(taken(field));
        }
        let new = NewAccount {
            id: self.ids.next(),
            username,
            email,
            password: self.passwords.hash(new.password).await?,
            at: self.clock.now(),
            open: self.registration_open,
        };
        match self.accounts.register(new).await? {
            Registered::New(account) => self.begin(account).await,
            Registered::Closed => Err(closed()),
            Registered::Taken(field) => Err(taken(field)),
        }
    }
}

/// The problem of an e-mail or a username that another account has.
pub(super) fn taken(field: &'static str) -> Problem {
    let word = if field == "email" { "e-mail" } else { field };
    let detail = format!("This {word} belongs to another account.");
    Problem::new(ProblemKind::Taken, detail).with_errors(vec![FieldError::new(field, "already taken")])
}

fn closed() -> Problem {
    Problem::new(
        ProblemKind::RegistrationClosed,
        "Nobody may register on this hub. Ask its administrator for an account.",
    )
}

/// The e-mail and the username, in lower case, or every fault.
fn check(new: &Registration) -> Result<(String, String), Vec<FieldError>> {
    let email = new.email.trim().to_lowercase();
    let mut faults: Vec<_> =
        email_fault(&email).into_iter().chain(password::fault("password", &new.password)).collect();
    let username = match &new.username {
        Some(username) => username.to_lowercase(),
        None => from_email(&email),
    };
    if !is_username(&username) {
        let given = new.username.is_some();
        // Where the e-mail is wrong as well, that fault is enough.
        if given || faults.iter().all(|fault| fault.field != "email") {
            let detail = if given {
                USERNAME_RULE.into()
            } else {
                format!("none can be made from the e-mail: give one ({USERNAME_RULE})")
            };
            faults.push(FieldError::new("username", detail));
        }
    }
    if faults.is_empty() { Ok((email, username)) } else { Err(faults) }
}

/// The e-mail and the username of a service user, in lower case, or every fault.
pub(super) fn check_names(email: &str, username: &str) -> Result<(String, String), Vec<FieldError>> {
    let (email, username) = (email.trim().to_lowercase(), username.to_lowercase());
    let username_fault = (!is_username(&username)).then(|| FieldError::new("username", USERNAME_RULE));
    let faults: Vec<_> = email_fault(&email).into_iter().chain(username_fault).collect();
    if faults.is_empty() { Ok((email, username)) } else { Err(faults) }
}

fn email_fault(email: &str) -> Option<FieldError> {
    let special = |c: char| c.is_control() || c.is_whitespace() || r#"<>()[],;:"\"#.contains(c);
    let good = match email.split_once('@') {
        Some((local, domain)) => {
            let sides =
                [local, domain].iter().all(|side| !side.is_empty() && !side.starts_with('.') && !side.ends_with('.'));
            sides && !domain.contains('@') && email.len() <= EMAIL_MAX && !email.contains(special)
        }
        None => false,
    };
    (!good).then(|| FieldError::new("email", "expected an e-mail address of at most 254 bytes, as ana@example.org"))
}

fn is_username(name: &str) -> bool {
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (USERNAME_MIN..=USERNAME_MAX).contains(&name.len())
        && name.starts_with(part)
        && name.chars().all(|c| part(c) || matches!(c, '.' | '_' | '-'))
        && name.parse::<UserId>().is_err()
}

/// What is left of the e-mail's local part when everything that no username has is taken out.
fn from_email(email: &str) -> String {
    let local = email.split_once('@').map_or(email, |(local, _)| local);
    let kept = local.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    kept.skip_while(|c| !c.is_ascii_alphanumeric()).take(USERNAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(email: &str, password: &str, username: Option<&str>) -> Result<(String, String), Vec<String>> {
        let new =
            Registration { email: email.into(), password: password.into(), username: username.map(str::to_owned) };
        check(&new).map_err(|faults| faults.into_iter().map(|fault| fault.field).collect())
    }

    #[test]
    fn names_are_lower_case_and_made_from_the_email_when_absent() {
        let good = [
            ("Ana@Example.org", None, "ana@example.org", "ana"),
            ("Ana.B+news@example.org", None, "ana.b+news@example.org", "ana.bnews"),
            ("_x.y@example.org", None, "_x.y@example.org", "x.y"),
            ("ana@example.org", Some("Ana-2"), "ana@example.org", "ana-2"),
            ("ä@example.org", Some("ae"), "ä@example.org", "ae"),
        ];
        for (email, username, expected_email, expected_username) in good {
            assert_eq!(checked(email, "lamp 1234", username), Ok((expected_email.into(), expected_username.into())));
        }
    }

    #[test]
    fn every_fault_is_named() {
        let long = format!("{}@example.org", "a".repeat(250));
        for email in
            ["", "ana", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "a\0@b", "a@b\r\nBcc: c@d", "<a@b>", "a@.b", &long]
        {
            assert_eq!(
                checked(email.trim_end_matches(' '), "lamp 1234", Some("ana")).is_ok(),
                email == "a@b\n",
                "{email:?}"
            );
        }
        let uuid = "01a1f84a-95c0-7f2b-9cf4-bb99f4bea973";
        for username in ["", "a", &"a".repeat(41), "-ana", "an a", "ana@b", "än", "ana\0", uuid] {
            assert_eq!(
                checked("ana@example.org", "lamp 1234", Some(username)),
                Err(vec!["username".into()]),
                "{username}"
            );
        }
        assert_eq!(checked("ä@example.org", "lamp 1234", None), Err(vec!["username".into()]));
        assert_eq!(checked("x", "short", Some("-")), Err(vec!["email".into(), "password".into(), "username".into()]));
    }
}
