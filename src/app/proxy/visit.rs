//! One client's visit: its handshake, what it asked for, and the tunnel.
//!
//! What comes before the tunnel is kept apart from it and goes when it is done,
//! so that an idle tunnel is small.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::greet::{Greeted, greet, part};
use super::group::Lease;
use super::reach::{Missed, Reached, reach};
use super::relay::Tunnel;
use super::steps::Steps;
use super::{Proxy, associate, bind};
use crate::app::net::{Connection, Writer};
use crate::error::explain;
use crate::event::{ProxyPassword, ProxyStep, Told};
use crate::protocol::proxy::handshake::Refusal;
use crate::protocol::proxy::{Cause, Command, Method, Request, Verdict};
use crate::units::Time;

/// Attends to one client.
pub(super) async fn visit(proxy: Arc<Proxy>, client: Connection) {
    let number = proxy.counts.clients.fetch_add(1, Ordering::Relaxed) + 1;
    let steps = Steps::of_client(&proxy, number);
    steps.tell(|| ProxyStep::Asked {
        by: client.peer(),
        at: client.local(),
    });
    let prepared = tokio::select! {
        prepared = Box::pin(prepare(&proxy, client, &steps)) => prepared,
        () = proxy.stop.asked() => Prepared::Over("the proxy was asked to end".into()),
    };
    let end = match prepared {
        Prepared::Tunnel(tunnel) => {
            let relayed = tunnel.run(&proxy, &steps).await;
            proxy.count_moved(relayed.up, relayed.down);
            steps.tell(|| ProxyStep::Relayed {
                up: relayed.up,
                down: relayed.down,
                datagrams: None,
            });
            relayed.end.to_string()
        }
        Prepared::Refused(client) => {
            Box::pin(part(client)).await;
            "it was refused".into()
        }
        Prepared::Over(how) => how,
    };
    steps.ended(end);
}

/// What a handshake and a request came to.
pub(super) enum Prepared {
    /// Bytes are to be passed on.
    Tunnel(Box<Tunnel>),
    /// The last words have been said.
    Refused(Connection),
    /// It is over, in this way.
    Over(String),
}

/// Everything before bytes are passed on.
async fn prepare(proxy: &Proxy, mut client: Connection, steps: &Steps) -> Prepared {
    let limit = proxy.config.limits.handshake;
    let users = proxy.config.users.clone();
    let (request, rest) = match timeout(limit, greet(&mut client, users)).await {
        Ok(Ok(Greeted::Asked(request, rest))) => (request, rest),
        Ok(Ok(Greeted::Refused(spoken, why))) => {
            proxy.count_refused();
            unwanted(steps, spoken, &why);
            return Prepared::Refused(client);
        }
        Ok(Ok(Greeted::Left)) => {
            return Prepared::Over("the client left before it asked for anything".into());
        }
        Ok(Err(error)) => {
            let why = explain(&error);
            return Prepared::Over(format!("the client was lost: {why}"));
        }
        Err(_) => {
            let limit = Time(limit);
            let how = format!("no whole handshake within {limit} (--handshake-timeout)");
            return Prepared::Over(how);
        }
    };
    steps.tell(|| ProxyStep::Method {
        method: request.method.to_string(),
        user: request.user.clone(),
        password: Some(match request.user {
            Some(_) => ProxyPassword::Right,
            None => ProxyPassword::NotAsked,
        }),
    });
    steps.tell(|| ProxyStep::Destination {
        command: request.command.to_string(),
        destination: request.destination.to_string(),
    });
    let visitor = Visitor {
        proxy,
        steps,
        client,
        request,
        rest,
    };
    match visitor.request.command {
        Command::Connect => visitor.connect().await,
        Command::Bind => bind::bind(visitor).await,
        Command::Associate => associate::associate(visitor).await,
    }
}

fn unwanted(steps: &Steps, spoken: Option<(Method, Option<u16>)>, why: &Refusal) {
    steps.tell(|| ProxyStep::Method {
        method: spoken.map_or_else(|| "unknown".into(), |(method, _)| method.to_string()),
        user: None,
        password: match why {
            Refusal::WrongPassword => Some(ProxyPassword::Wrong),
            Refusal::NoMethod | Refusal::NeedsPassword => Some(ProxyPassword::Missing),
            _ => None,
        },
    });
    steps.tell(|| ProxyStep::Refused {
        why: why.to_string(),
    });
    if let Some((_, Some(code))) = spoken {
        steps.tell(|| ProxyStep::Replied {
            code,
            meaning: match why {
                Refusal::WrongPassword => why.to_string(),
                _ => why.cause().to_string(),
            },
        });
    }
}

/// A client that has said what it wants.
pub(super) struct Visitor<'a> {
    pub(super) proxy: &'a Proxy,
    pub(super) steps: &'a Steps,
    pub(super) client: Connection,
    pub(super) request: Request,
    /// What it sent beyond that.
    pub(super) rest: Vec<u8>,
}

impl Visitor<'_> {
    async fn connect(mut self) -> Prepared {
        match reach(
            self.proxy,
            self.client.peer().ip(),
            &self.request.destination,
            self.steps,
        )
        .await
        {
            Ok(Reached {
                connection,
                early,
                lease,
            }) => {
                if let Err(left) = self.reply(Verdict::Granted(connection.local())).await {
                    return left;
                }
                self.tunnel(connection, early, lease)
            }
            Err(missed) => self.refuse(missed).await,
        }
    }

    /// The tunnel to `far`.
    pub(super) fn tunnel(self, far: Connection, early: Vec<u8>, lease: Option<Lease>) -> Prepared {
        self.proxy.count_granted();
        Prepared::Tunnel(Box::new(Tunnel {
            client: self.client,
            far,
            from_client: self.rest,
            from_far: early,
            lease,
        }))
    }

    /// Tells the client what came of it.
    pub(super) async fn reply(&mut self, verdict: Verdict) -> Result<(), Prepared> {
        let method = self.request.method;
        self.steps.replied(method, verdict);
        let replied = self.client.write_all(&method.reply(verdict)).await;
        replied.map_err(|_| Prepared::Over("the client left before it was answered".into()))
    }

    /// Tells the client that it gets nothing.
    pub(super) async fn refuse(mut self, Missed { cause, why }: Missed) -> Prepared {
        self.proxy.count_refused();
        self.steps.tell(|| ProxyStep::Refused { why });
        match self.reply(Verdict::Refused(cause)).await {
            Ok(()) => Prepared::Refused(self.client),
            Err(left) => left,
        }
    }

    /// Refuses what is not done here.
    pub(super) async fn refuse_command(self, why: &str) -> Prepared {
        let why = why.to_owned();
        let cause = Cause::CommandUnsupported;
        self.refuse(Missed { cause, why }).await
    }
}

impl Proxy {
    pub(super) fn count_granted(&self) {
        self.counts.granted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_moved(&self, up: u64, down: u64) {
        self.counts.up.fetch_add(up, Ordering::Relaxed);
        self.counts.down.fetch_add(down, Ordering::Relaxed);
    }

    pub(super) fn count_refused(&self) {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tells what the kernel knows of the client's connection, at its end.
pub(super) fn over(client: &Writer, steps: &Steps) {
    if steps.tells() {
        client.tell(|| Told::Over(Box::new(client.figures())));
    }
}
