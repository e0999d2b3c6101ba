//! Passwords, from files and from the environment: an argument is read by
//! everybody who lists processes.
//!
//! Owns where they are read from; never prints one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Error;
use crate::protocol::proxy::upstream::Upstream;
use crate::protocol::proxy::{Credentials, Users};

/// Where passwords are.
#[derive(Debug, clap::Args)]
pub(super) struct Secrets {
    /// Ask for a user and a password: FILE has a line USER:PASSWORD for each.
    /// SOCKS4, which knows no passwords, is refused then
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,

    /// The same, from an environment variable
    #[arg(long, value_name = "NAME", conflicts_with = "users")]
    users_env: Option<String>,

    /// The password for the USER of --via is FILE's first line
    #[arg(long, value_name = "FILE", requires = "via")]
    via_password_file: Option<PathBuf>,

    /// The same, from an environment variable
    #[arg(
        long,
        value_name = "NAME",
        requires = "via",
        conflicts_with = "via_password_file"
    )]
    via_password_env: Option<String>,
}

impl Secrets {
    /// Who may use the proxy, where that is asked.
    pub(super) fn users(&self) -> Result<Option<Arc<Users>>, Error> {
        let (text, from) = match (&self.users, &self.users_env) {
            (Some(path), _) => (read(path)?, path.display().to_string()),
            (_, Some(name)) => (variable(name)?, format!("${name}")),
            _ => return Ok(None),
        };
        let users = Users::read(&text);
        let users = users.map_err(|error| Error::new("read users from", from, error.to_string()));
        Ok(Some(Arc::new(users?)))
    }

    /// Other proxies, each with the password for it.
    pub(super) fn with_passwords(
        &self,
        via: &[Upstream],
    ) -> Result<Vec<(Upstream, Option<Credentials>)>, Error> {
        let password = match (&self.via_password_file, &self.via_password_env) {
            (Some(path), _) => Some(read(path)?),
            (_, Some(name)) => Some(variable(name)?),
            _ => None,
        };
        let with_password = |upstream: &Upstream| {
            let credentials = match (&upstream.user, &password) {
                (None, _) => None,
                (Some(user), Some(text)) => {
                    let line = format!("{user}:{}", text.lines().next().unwrap_or_default());
                    Some(Credentials::read(&line).ok_or_else(|| {
                        let cause = "a user and a password have 1 to 255 bytes each";
                        Error::new("log in to", upstream, cause)
                    })?)
                }
                (Some(user), None) => {
                    let cause = format!("there is no password for \"{user}\"");
                    return Err(Error::new("log in to", upstream, cause)
                        .remedy("give --via-password-file FILE or --via-password-env NAME"));
                }
            };
            Ok((upstream.clone(), credentials))
        };
        via.iter().map(with_password).collect()
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let text = std::fs::read_to_string(path);
    text.map_err(|error| Error::new("read", path.display(), error))
}

fn variable(name: &str) -> Result<String, Error> {
    std::env::var(name)
        .map_err(|_| Error::new("read", format!("${name}"), "there is no such variable"))
}
