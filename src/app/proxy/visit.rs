//! One client's visit: its handshake, what it asked for, and the tunnel.
//!
//! What comes before the tunnel is kept apart from it and goes when it is done,
//! so that an idle tunnel is small.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::greet::{Greeted, greet, part};
use super::reach::{Missed, Reached, reach};
use super::relay::Tunnel;
use super::steps::Steps;
use super::{Proxy, associate, bind};
use crate::app::net::Connection;
use crate::event::{ProxyStep, Told};
use crate::protocol::proxy::{Cause, Command, Method, Request, Verdict};

/// Attends to one client.
pub(super) async fn visit(proxy: Arc<Proxy>, client: Connection) {
    let number = proxy.counts.clients.fetch_add(1, Ordering::Relaxed) + 1;
    let steps = Steps::of_client(&proxy, number);
    steps.tell(|| ProxyStep::Asked {
        by: client.peer(),
        at: client.local(),
    });
    let tunnel = tokio::select! {
        tunnel = Box::pin(prepare(&proxy, client, &steps)) => tunnel,
        () = proxy.stop.asked() => {
            steps.ended("the proxy was asked to end");
            return;
        }
    };
    let Some(tunnel) = tunnel else { return };
    let relayed = tunnel.run(&proxy, &steps).await;
    proxy.count_moved(relayed.up, relayed.down);
    steps.tell(|| ProxyStep::Relayed {
        up: relayed.up,
        down: relayed.down,
        datagrams: None,
    });
    steps.ended(relayed.end.to_string());
}

/// Everything before bytes are passed on; none where that never comes.
async fn prepare(proxy: &Proxy, mut client: Connection, steps: &Steps) -> Option<Tunnel> {
    let limit = proxy.config.limits.handshake;
    let users = proxy.config.users.clone();
    let (request, rest) = match timeout(limit, greet(&mut client, users)).await {
        Ok(Ok(Greeted::Asked(request, rest))) => (request, rest),
        Ok(Ok(Greeted::Refused(method, why))) => {
            proxy.count_refused();
            unwanted(steps, method, &why);
            return None;
        }
        Ok(Ok(Greeted::Left)) => {
            steps.ended("the client left before it asked for anything");
            return None;
        }
        Ok(Err(error)) => {
            steps.ended(format!(
                "the client was lost: {}",
                crate::error::explain(&error)
            ));
            return None;
        }
        Err(_) => {
            steps.ended(format!("no whole handshake within {limit:?}"));
            return None;
        }
    };
    steps.tell(|| ProxyStep::Method {
        method: request.method.to_string(),
        user: request.user.clone(),
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
        Command::Associate => {
            associate::associate(visitor).await;
            None
        }
    }
}

fn unwanted(steps: &Steps, method: Option<Method>, why: &impl std::fmt::Display) {
    steps.tell(|| ProxyStep::Method {
        method: method.map_or_else(|| "unknown".into(), |method| method.to_string()),
        user: None,
    });
    steps.tell(|| ProxyStep::Refused {
        why: why.to_string(),
    });
    steps.ended("it was refused");
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
    async fn connect(mut self) -> Option<Tunnel> {
        match reach(self.proxy, &self.request.destination, self.steps).await {
            Ok(Reached {
                connection,
                early,
                lease,
            }) => {
                self.reply(Verdict::Granted(connection.local())).await?;
                self.proxy.count_granted();
                Some(Tunnel {
                    client: self.client,
                    far: connection,
                    from_client: self.rest,
                    from_far: early,
                    lease,
                })
            }
            Err(missed) => {
                self.refuse(missed).await;
                None
            }
        }
    }

    /// Tells the client what came of it; none where it has left.
    pub(super) async fn reply(&mut self, verdict: Verdict) -> Option<()> {
        let method = self.request.method;
        self.steps.replied(method, verdict);
        match self.client.write_all(&method.reply(verdict)).await {
            Ok(()) => Some(()),
            Err(_) => {
                self.steps.ended("the client left before it was answered");
                None
            }
        }
    }

    /// Tells the client that it gets nothing, and leaves it.
    pub(super) async fn refuse(mut self, Missed { cause, why }: Missed) {
        self.proxy.count_refused();
        self.steps.tell(|| ProxyStep::Refused { why });
        if self.reply(Verdict::Refused(cause)).await.is_some() {
            part(&mut self.client).await;
            self.steps.ended("it was refused");
        }
    }

    /// Refuses what is not done here.
    pub(super) async fn refuse_command(self, why: &str) {
        let why = why.to_owned();
        let cause = Cause::CommandUnsupported;
        self.refuse(Missed { cause, why }).await;
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

    fn count_refused(&self) {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tells what the kernel knows of the client's connection, at its end.
pub(super) fn over(client: &crate::app::net::Writer, steps: &Steps) {
    if steps.tells() {
        client.tell(|| Told::Over(Box::new(client.figures())));
    }
}
