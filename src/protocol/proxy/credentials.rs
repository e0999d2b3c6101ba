//! Who may use the proxy, and by which password (RFC 1929, RFC 7617).
//!
//! Passwords are kept as digests and compared in constant time, all of them
//! each time, so that how long an answer takes says nothing about any.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};

/// The most bytes of a user's name or of a password (RFC 1929 section 2).
const LONGEST: usize = 255;

/// One user's name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Those who may.
#[derive(Clone, Default)]
pub struct Users {
    names: Vec<String>,
    digests: Vec<[u8; 32]>,
}

/// Why a text is no list of users.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// A line that is none.
    #[error("line {0} is no USER:PASSWORD, each 1 to 255 bytes")]
    Line(usize),
    /// The same name again.
    #[error("line {0} names a user for the second time")]
    Twice(usize),
    /// Nobody.
    #[error("there is no USER:PASSWORD in it")]
    Nobody,
}

impl Credentials {
    /// Reads `USER:PASSWORD`: the name has no colon (RFC 7617 section 2).
    pub fn read(line: &str) -> Option<Self> {
        let (user, password) = line.split_once(':')?;
        let is_fit = |text: &str| (1..=LONGEST).contains(&text.len());
        let is_shown = !user.chars().any(char::is_control);
        (is_fit(user) && is_fit(password) && is_shown).then(|| Self {
            user: user.into(),
            password: password.into(),
        })
    }
}

impl Users {
    /// Reads a line a user, `USER:PASSWORD`; empty lines and those that begin
    /// with `#` say nothing.
    ///
    /// # Errors
    ///
    /// A line is none, a user is there twice, or there is nobody.
    pub fn read(text: &str) -> Result<Self, UsersError> {
        let mut users = Self::default();
        for (line, number) in text.lines().zip(1..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let one = Credentials::read(line).ok_or(UsersError::Line(number))?;
            if users.names.contains(&one.user) {
                return Err(UsersError::Twice(number));
            }
            let digest = digest(one.user.as_bytes(), one.password.as_bytes());
            users.digests.push(digest);
            users.names.push(one.user);
        }
        if users.names.is_empty() {
            return Err(UsersError::Nobody);
        }
        Ok(users)
    }

    /// Whether this user has this password.
    pub fn admit(&self, user: &[u8], password: &[u8]) -> bool {
        let offered = digest(user, password);
        let found = self.digests.iter();
        let found = found.fold(Choice::from(0), |found, own| found | own.ct_eq(&offered));
        found.into()
    }
}

/// The name's length first, so that no two pairs run into the same bytes.
fn digest(user: &[u8], password: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(user.len() as u64).to_be_bytes());
    hasher.update(user).update(password);
    *hasher.finalize().as_bytes()
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Users").field(&self.names).finish()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.user).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_one_password_and_no_other() {
        let users = Users::read("# who may\n\nann:secret\nbob:a:b\n").expect("two users");
        for (user, password, expected) in [
            ("ann", "secret", true),
            ("bob", "a:b", true),
            ("ann", "a:b", false),
            ("ann", "secret ", false),
            ("ann", "", false),
            ("", "", false),
            ("an", "nsecret", false),
            ("Ann", "secret", false),
        ] {
            let admitted = users.admit(user.as_bytes(), password.as_bytes());
            assert_eq!(admitted, expected, "{user}:{password}");
        }
    }

    #[test]
    fn what_is_no_list_of_users_is_told_so() {
        for (text, expected) in [
            ("", UsersError::Nobody),
            ("# nobody\n", UsersError::Nobody),
            ("ann", UsersError::Line(1)),
            ("ann:x\n:y", UsersError::Line(2)),
            ("ann:", UsersError::Line(1)),
            ("a\u{7}n:x", UsersError::Line(1)),
            ("ann:x\nann:y", UsersError::Twice(2)),
        ] {
            assert_eq!(Users::read(text).err(), Some(expected), "{text:?}");
        }
        let long = format!("ann:{}", "x".repeat(256));
        assert_eq!(Users::read(&long).err(), Some(UsersError::Line(1)));
    }

    #[test]
    fn no_password_is_ever_printed() {
        let users = Users::read("ann:secret").expect("one user");
        let one = Credentials::read("ann:secret").expect("one");
        assert_eq!(
            format!("{users:?} {one:?}"),
            "Users([\"ann\"]) Credentials(\"ann\")"
        );
    }
}
