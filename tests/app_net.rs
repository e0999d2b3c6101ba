//! What the applications stand on: connections between the two hosts of a
//! private link, each call recorded.

mod support;

use std::sync::Arc;
use std::time::Duration;

use socklab::address::Admission;
use socklab::app::net::{Connect, Connection, Door, Doorway, Stack, connect};
use socklab::app::{Stop, demo};
use socklab::error::Error;
use socklab::event::{Event, Outcome, Place, Recording, What};
use socklab::flow::Family;
use socklab::link;
use socklab::recorder::{Clock, Recorder};
use socklab::stage::Stage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

fn doorway(stage: &Stage, family: Family) -> Doorway {
    Doorway {
        addresses: vec![stage.server().address(family, 5073)],
        stack: Stack::Single,
        options: Vec::new(),
        admission: Admission::default(),
    }
}

fn towards(stage: &Stage, family: Family, port: u16) -> Connect {
    Connect {
        endpoint: "server".into(),
        addresses: vec![stage.server().address(family, port)],
        from: Vec::new(),
        timeout: Some(Duration::from_secs(10)),
        options: Vec::new(),
        stop: Arc::default(),
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::new("converse with", "the other end", error)
}

/// Sends everything back, in upper case, when the client has ended.
async fn serve(door: Door) -> Result<(u64, u64), Error> {
    let mut connection = door.accept().await;
    let mut text = Vec::new();
    connection.read_to_end(&mut text).await.map_err(failed)?;
    text.make_ascii_uppercase();
    connection.write_all(&text).await.map_err(failed)?;
    connection.shutdown().await.map_err(failed)?;
    Ok((connection.received(), connection.sent()))
}

async fn ask(mut connection: Connection, text: &[u8]) -> Result<Vec<u8>, Error> {
    connection.write_all(text).await.map_err(failed)?;
    connection.shutdown().await.map_err(failed)?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.map_err(failed)?;
    Ok(answer)
}

fn calls(events: &[Event<'_>], place: Place) -> Vec<&'static str> {
    let mut names = Vec::new();
    for event in events {
        if let What::Call(call) = &event.what
            && event.host == place
            && matches!(call.outcome, Outcome::Returned { .. })
        {
            names.push(call.name);
        }
    }
    names
}

fn both_ends_converse(family: Family) {
    let events = Arc::new(Recording::new());
    let config = link::Config::default();
    let stage = Stage::link(&config, Clock::start(), events.clone()).expect("a link");
    let (doorway, towards) = (doorway(&stage, family), towards(&stage, family, 5073));
    let (listening, is_listening) = oneshot::channel();
    let text = b"all of this comes back".repeat(10_000);
    let expected = text.to_ascii_uppercase();
    let ((received, sent), answer) = demo::on_both(
        &stage,
        move |recorder: Recorder| async move {
            let door = Door::open(doorway, &recorder)?;
            let _ = listening.send(());
            serve(door).await
        },
        move |recorder: Recorder| async move {
            is_listening.await.expect("the server listens");
            ask(connect(&towards, &recorder).await?, &text).await
        },
    )
    .expect("they converse");
    stage.finish().expect("the link comes down");
    assert_eq!(answer, expected);
    assert_eq!((received, sent), (220_000, 220_000));
    let events = events.take();
    let client = calls(&events, Place::Client);
    let server = calls(&events, Place::Server);
    assert_eq!(client[..2], ["socket", "getsockopt"]);
    assert!(
        client.contains(&"send") && client.contains(&"recv"),
        "{client:?}"
    );
    for name in ["listen", "accept4", "recv", "send", "shutdown"] {
        assert!(server.contains(&name), "{name} is missing in {server:?}");
    }
}

#[test]
fn both_ends_converse_over_both_families() {
    if support::may_make_namespaces("a conversation of tasks") {
        both_ends_converse(Family::Ipv4);
        both_ends_converse(Family::Ipv6);
    }
}

#[test]
fn a_refused_connection_is_the_networks_no() {
    if !support::may_make_namespaces("a refused connection") {
        return;
    }
    let config = link::Config::default();
    let stage = Stage::link(&config, Clock::start(), Arc::new(Recording::new())).expect("a link");
    let towards = towards(&stage, Family::Ipv4, 1);
    let error = demo::on_both(
        &stage,
        |_| async { Ok(()) },
        move |recorder: Recorder| async move { connect(&towards, &recorder).await.map(drop) },
    )
    .expect_err("nobody listens");
    assert!(
        error
            .to_string()
            .contains("connection refused (ECONNREFUSED)"),
        "{error}"
    );
    assert_eq!(error.exit().code(), 1);
}

#[test]
fn a_request_to_end_reaches_every_clone() {
    let runtime = socklab::app::runtime(0).expect("a runtime");
    runtime.block_on(async {
        let stop = Stop::default();
        let clone = stop.clone();
        let waiting = tokio::spawn(async move { clone.asked().await });
        assert!(!stop.is_asked());
        stop.ask();
        waiting.await.expect("it was heard");
        stop.asked().await;
    });
}
