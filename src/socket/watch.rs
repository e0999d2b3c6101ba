//! Follows the TCP states of one host's connections through its kernel's own
//! answers, and records each change; where anybody wants them, samples of how
//! each connection is getting on too (`sock_diag`, `TCP_INFO`).
//!
//! Looks when told to: after a packet, after a call, or at a tick. Never polls
//! by itself.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use super::diag::Diagnosis;
use super::tcp_info::TcpInfo;
use crate::event::{Sample, StateChange, Topic, What};
use crate::flow::{FiveTuple, TcpState};
use crate::recorder::Recorder;

/// The states of one host's connections, as far as they were looked at.
pub(crate) struct StateWatch {
    kernel: Diagnosis,
    known: HashMap<FiveTuple, Known>,
    recorder: Recorder,
    is_sampling: bool,
}

/// What is known of one connection.
struct Known {
    state: TcpState,
    /// The last sample recorded, and what it was made from.
    sampled: Option<(Sample, TcpInfo)>,
}

impl StateWatch {
    /// A watch over the calling thread's network namespace.
    pub(crate) fn open(recorder: Recorder) -> io::Result<Self> {
        Ok(Self {
            kernel: Diagnosis::open()?,
            known: HashMap::new(),
            is_sampling: recorder.wants(Topic::Sample),
            recorder,
        })
    }

    /// Whether anybody wants samples, so that [`sample_all`](Self::sample_all)
    /// is worth calling.
    pub(crate) fn is_sampling(&self) -> bool {
        self.is_sampling
    }

    /// Asks for the state of `connection`, named as this host names it, and
    /// records a change as of `at`; a sample too, if one is wanted and any of
    /// its figures has changed.
    pub(crate) fn look(&mut self, connection: FiveTuple, at: Duration) {
        let FiveTuple { local, remote, .. } = connection;
        let answer = if self.is_sampling {
            self.kernel.tcp_info(local, remote)
        } else {
            let state = self.kernel.tcp_state(local, remote);
            state.map(|state| (state, None))
        };
        // A kernel that does not answer leaves the state's lane empty; the calls
        // and the packets tell the story without it.
        let Ok((state, info)) = answer else {
            return;
        };
        self.change(connection, state, at);
        if let Some(info) = info {
            self.sample(connection, &info, at);
        }
    }

    /// Looks at every connection that may still be sending.
    pub(crate) fn sample_all(&mut self, at: Duration) {
        if !self.is_sampling {
            return;
        }
        let is_open = |known: &Known| known.state != TcpState::TimeWait;
        let open = self.known.iter().filter(|(_, known)| is_open(known));
        let connections: Vec<FiveTuple> = open.map(|(connection, _)| *connection).collect();
        for connection in connections {
            self.look(connection, at);
        }
    }

    fn change(&mut self, connection: FiveTuple, to: TcpState, at: Duration) {
        let before = if to == TcpState::Closed {
            // Forgotten, so that a long run keeps only what is open.
            self.known.remove(&connection).map(|known| known.state)
        } else {
            let fresh = Known {
                state: TcpState::Closed,
                sampled: None,
            };
            let known = self.known.entry(connection).or_insert(fresh);
            Some(std::mem::replace(&mut known.state, to))
        };
        let from = before.unwrap_or(TcpState::Closed);
        if from != to && self.recorder.wants(Topic::State) {
            let change = StateChange {
                connection,
                from,
                to,
            };
            self.recorder.record(at, What::State(change));
        }
    }

    fn sample(&mut self, connection: FiveTuple, info: &TcpInfo, at: Duration) {
        let Some(known) = self.known.get_mut(&connection) else {
            return;
        };
        let before = known.sampled.as_ref();
        let sample = info.sample(connection, before.map(|(_, info)| info));
        if before.is_none_or(|(last, _)| *last != sample) {
            known.sampled = Some((sample, *info));
            self.recorder.record(at, What::Sample(sample));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;

    use super::*;
    use crate::event::{Event, Place, Recording, Sink};
    use crate::flow::Kind;
    use crate::recorder::Clock;

    /// Wants states and no samples.
    struct States(Recording);

    impl Sink for States {
        fn wants(&self, topic: Topic) -> bool {
            topic == Topic::State
        }

        fn record(&self, event: &Event<'_>) {
            self.0.record(event);
        }
    }

    fn connection() -> (TcpStream, TcpListener, FiveTuple) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind on loopback");
        let remote = listener.local_addr().expect("its address");
        let client = TcpStream::connect(remote).expect("connect");
        let tuple = FiveTuple {
            protocol: Kind::Tcp,
            local: client.local_addr().expect("its address"),
            remote,
        };
        (client, listener, tuple)
    }

    fn samples(events: &[Event<'_>]) -> usize {
        let is_sample = |event: &&Event<'_>| matches!(event.what, What::Sample(_));
        events.iter().filter(is_sample).count()
    }

    #[test]
    fn a_sample_is_recorded_when_a_figure_has_changed() {
        let (mut client, _listener, tuple) = connection();
        let recording = Arc::new(Recording::new());
        let recorder = Recorder::new(Place::Client, Clock::start(), recording.clone());
        let mut watch = StateWatch::open(recorder).expect("sock_diag");
        assert!(watch.is_sampling());
        watch.look(tuple, Duration::ZERO);
        watch.sample_all(Duration::from_millis(1));
        let events = recording.take();
        assert_eq!((events.len(), samples(&events)), (2, 1), "{events:?}");
        // The round-trip time of the handshake was the first; data is another.
        client.write_all(b"hello").expect("write");
        watch.sample_all(Duration::from_millis(2));
        assert_eq!(samples(&recording.take()), 1);
    }

    #[test]
    fn nobody_who_wants_only_states_pays_for_samples() {
        let (_client, _listener, tuple) = connection();
        let sink = Arc::new(States(Recording::new()));
        let recorder = Recorder::new(Place::Client, Clock::start(), sink.clone());
        let mut watch = StateWatch::open(recorder).expect("sock_diag");
        assert!(!watch.is_sampling());
        watch.look(tuple, Duration::ZERO);
        watch.sample_all(Duration::ZERO);
        let events = sink.0.take();
        assert_eq!((events.len(), samples(&events)), (1, 0), "{events:?}");
    }
}
