//! The greetings: the server's name and address, what each end does, and
//! whether that fits.
//!
//! Owns nothing beyond the first line of each end.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::wire::Wire;
use crate::error::Error;
use crate::event::File;
use crate::protocol::file::{Code, Escaped, Line, Role, VERSION};

/// Which end this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It waited to be called, and speaks first.
    Server,
    /// It called.
    Client,
}

/// How long the other end may take to greet.
const PATIENCE: Duration = Duration::from_secs(10);

/// Greets, and is greeted.
pub(super) async fn greet(wire: &mut Wire, end: End, role: Role) -> Result<(), Error> {
    if end == End::Server {
        wire.say(&hello(role, Some(wire.local())));
        hear(wire, role).await
    } else {
        hear(wire, role).await?;
        wire.say(&hello(role, None));
        Ok(())
    }
}

fn hello(role: Role, address: Option<std::net::SocketAddr>) -> Line {
    let name = nix::unistd::gethostname().unwrap_or_default();
    Line::Hello {
        version: VERSION,
        role,
        name: name.as_bytes().iter().copied().take(255).collect(),
        address,
    }
}

async fn hear(wire: &mut Wire, own: Role) -> Result<(), Error> {
    let Some(greeting) = wire.line_within(PATIENCE).await? else {
        let other = match own {
            Role::Send => "receive",
            Role::Receive => "send",
        };
        let error = wire.offended("no greeting came", Code::Idle);
        return Err(error.remedy(format!("is it `socklab file {other}`?")));
    };
    let (version, role, name) = match greeting {
        Line::Hello {
            version,
            role,
            name,
            ..
        } => (version, role, name),
        Line::Bye(code) => return Err(wire.left(&code)),
        _ => return Err(wire.offended("it does not greet as socklab file does", Code::Protocol)),
    };
    if version != VERSION {
        let cause = format!("it speaks version {version}, and this is version {VERSION}");
        return Err(wire.offended(cause, Code::Role));
    }
    if role != own.counterpart() {
        let cause = match own {
            Role::Send => "both ends want to send",
            Role::Receive => "both ends want to receive",
        };
        return Err(wire.offended(cause, Code::Role));
    }
    wire.step(|| File::Greeted {
        name: Escaped(&name).to_string(),
        role,
    });
    Ok(())
}
