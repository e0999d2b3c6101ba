//! BIND: a connection from the destination, for protocols in which the server
//! calls back (RFC 1928 section 4).
//!
//! Two replies: where the destination is to connect to, and who did. Only the
//! destination is let in. Goes through no other proxy.

use std::net::{SocketAddr, UdpSocket};

use tokio::io::AsyncReadExt;
use tokio::time::sleep;

use super::reach::{Missed, resolve};
use super::visit::{Prepared, Visitor};
use crate::address::{Admission, Network};
use crate::app::net::{Connection, Door, Doorway, Stack};
use crate::event::ProxyStep;
use crate::protocol::proxy::{Cause, Host, Verdict};

/// Who came, or why nobody did.
enum Awaited {
    Came(Connection),
    Late,
    ClientLeft,
}

/// Waits for a connection from the destination.
pub(super) async fn bind(mut visitor: Visitor<'_>) -> Prepared {
    if visitor.proxy.via.is_some() {
        let why = "BIND does not go through another proxy (--via)";
        return visitor.refuse_command(why).await;
    }
    let door = match open(&visitor).await {
        Ok(door) => door,
        Err(missed) => return visitor.refuse(missed).await,
    };
    match await_far(&mut visitor, &door).await {
        Ok(Awaited::Came(far)) => visitor.tunnel(far, Vec::new(), None),
        Ok(Awaited::Late) => {
            let why = "the destination did not connect in time".into();
            let cause = Cause::TimedOut;
            visitor.refuse(Missed { cause, why }).await
        }
        Ok(Awaited::ClientLeft) => {
            Prepared::Over("the client left before the destination connected".into())
        }
        Err(left) => left,
    }
}

/// Both replies, and what comes between them.
async fn await_far(visitor: &mut Visitor<'_>, door: &Door) -> Result<Awaited, Prepared> {
    let local = door.addresses().first().copied();
    let local = local.unwrap_or_else(|| visitor.client.local());
    visitor.proxy.capture(&[local]);
    visitor.steps.tell(|| ProxyStep::Waiting { local });
    visitor.reply(Verdict::Granted(local)).await?;
    let awaited = visitor.wait(door).await;
    if let Awaited::Came(far) = &awaited {
        visitor.reply(Verdict::Granted(far.peer())).await?;
    }
    Ok(awaited)
}

/// A listening socket for the destination alone; for anybody that the rules
/// allow, where it is the unspecified address.
async fn open(visitor: &Visitor<'_>) -> Result<Door, Missed> {
    let destination = &visitor.request.destination;
    let is_anybody = matches!(&destination.host, Host::Ip(ip) if ip.is_unspecified());
    let expected: Vec<SocketAddr> = if is_anybody {
        Vec::new()
    } else {
        resolve(
            visitor.proxy,
            visitor.client.peer().ip(),
            destination,
            visitor.steps,
        )
        .await?
    };
    let facing = expected.first().and_then(|far| source(*far));
    let mut own = facing.unwrap_or_else(|| visitor.client.local());
    own.set_port(0);
    let only = |far: &SocketAddr| far.ip().to_string().parse::<Network>().ok();
    let doorway = Doorway {
        addresses: vec![own],
        stack: Stack::Single,
        options: super::socket_options(),
        admission: Admission {
            allow: expected.iter().filter_map(only).collect(),
            deny: Vec::new(),
        },
    };
    Ok(Door::open(doorway, &visitor.proxy.recorder)?)
}

/// The address that the kernel would connect from: connect(2) on a datagram
/// socket sends nothing.
fn source(far: SocketAddr) -> Option<SocketAddr> {
    let any = if far.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(far).ok()?;
    socket.local_addr().ok()
}

impl Visitor<'_> {
    /// The destination, while the client is still there. What the client says
    /// meanwhile is passed on later.
    async fn wait(&mut self, door: &Door) -> Awaited {
        const MOST: usize = 4096;
        let mut late = std::pin::pin!(sleep(self.proxy.config.limits.bind));
        let mut piece = [0; 512];
        loop {
            let has_room = self.rest.len() < MOST;
            tokio::select! {
                far = door.accept() => {
                    if self.proxy.allows(far.peer()) {
                        return Awaited::Came(far);
                    }
                }
                read = self.client.read(&mut piece), if has_room => match read {
                    Ok(0) | Err(_) => return Awaited::ClientLeft,
                    Ok(count) => self.rest.extend_from_slice(&piece[..count]),
                },
                () = &mut late => return Awaited::Late,
            }
        }
    }
}
