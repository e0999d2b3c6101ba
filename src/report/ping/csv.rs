//! A line for each thing that became of a ping's requests, as it happens, for
//! spreadsheets and plots (RFC 4180: commas, CRLF, a header).
//!
//! | column | what it holds |
//! |---|---|
//! | `at_ns` | when, from the start of the run |
//! | `unix_ns` | when, since 1970-01-01 00:00 UTC; follows the run's monotonic clock |
//! | `event` | `reply`, `duplicate`, `bad_checksum`, `different_address`, `lost`, `in_flight` (the run ended too soon to tell), `redirect`, `error`, `unresolved` (a name without an address, which gets no request) |
//! | `index`, `name` | whom the request went to: its place among the targets, and what it is called; empty where an error does not tell |
//! | `number`, `icmp_sequence` | the request's number from 1, and what it has in the packet: the number's low 16 bits, or with many targets the next that is free for any; empty where an error does not tell |
//! | `from` | who answered, or sent the error; empty where nobody did |
//! | `ttl`, `message_bytes` | of a reply |
//! | `rtt_ns` | from when the kernel says that the request left, or else from the send call, to the arrival in the kernel |
//! | `rtt_user_ns` | from the send call until the receive call returned |
//! | `rtt_kernel_ns` | from the kernel's stamp of the departure to that of the arrival; empty where it gave none |
//! | `out_of_order` | `true` or `false`, of a reply |
//! | `cause` | of an error: `destination_unreachable`, `time_exceeded`, `packet_too_big`, `parameter_problem`, `source_quench`, `icmp`, `message_too_long`, `local`, `send` |
//! | `icmp_type`, `icmp_code`, `info` | of an ICMP error; `info` is an MTU or a pointer |
//! | `meaning` | an error in words, or the resolver's reason |
//!
//! A request that has no answer has its line when that is known, at the latest
//! with the summary, so that every request has one. Names are stable: columns are added at the end, never renamed. Control
//! characters in names become `·`, so that a listing stays a listing.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::ledger::{kind, target};
use crate::event::{
    Echo, EchoCause, EchoFailure, EchoJudgement, EchoPatience, EchoReply, EchoSummary, Event, Sink,
    Topic, What,
};
use crate::report::glyph;

/// The first line.
pub const HEADER: &str = "at_ns,unix_ns,event,index,name,number,icmp_sequence,from,ttl,\
                          message_bytes,rtt_ns,rtt_user_ns,rtt_kernel_ns,out_of_order,cause,\
                          icmp_type,icmp_code,info,meaning";

/// Writes lines as events happen.
pub struct CsvLines<Out> {
    started_at: SystemTime,
    stop: Arc<AtomicBool>,
    state: Mutex<State<Out>>,
}

struct State<Out> {
    out: Out,
    failure: Option<io::Error>,
    /// The sequence numbers of the requests that have no line yet, by target and
    /// number.
    waiting: BTreeMap<(u32, u64), u16>,
}

/// One line's values, those that do not apply empty.
#[derive(Debug, Default)]
struct Row {
    event: &'static str,
    number: String,
    icmp_sequence: String,
    from: String,
    ttl: String,
    message_bytes: String,
    round_trips: [String; 3],
    out_of_order: String,
    cause: &'static str,
    icmp: [String; 3],
    meaning: String,
}

impl<Out: Write + Send> CsvLines<Out> {
    /// Writes the header; lines go to `out`, each in one piece. When that fails,
    /// `stop` is raised. Times count from `started_at`.
    pub fn begin(mut out: Out, started_at: SystemTime, stop: Arc<AtomicBool>) -> Self {
        let header = format!("{HEADER}\r\n");
        let failure = out.write_all(header.as_bytes()).and_then(|()| out.flush());
        if failure.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        Self {
            started_at,
            stop,
            state: Mutex::new(State {
                out,
                failure: failure.err(),
                waiting: BTreeMap::new(),
            }),
        }
    }

    /// The error that ended the output, if one did.
    pub fn into_result(self) -> io::Result<()> {
        let state = self.state.into_inner();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.failure.map_or(Ok(()), Err)
    }

    fn write(&self, state: &mut State<Out>, lines: &str) {
        if state.failure.is_some() || lines.is_empty() {
            return;
        }
        let written = state.out.write_all(lines.as_bytes());
        if let Err(error) = written.and_then(|()| state.out.flush()) {
            state.failure = Some(error);
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn line(&self, at: Duration, echo: &Echo<'_>, row: &Row) -> String {
        let since_1970 = (self.started_at + at).duration_since(SystemTime::UNIX_EPOCH);
        let unix = since_1970.unwrap_or_default().as_nanos();
        let mut line = format!("{},{unix},{}", at.as_nanos(), row.event);
        let whom = target(echo);
        let index = whom.map(|whom| whom.index.to_string());
        let name = whom.map_or("", |whom| &whom.name);
        let cells = [
            &index.unwrap_or_default(),
            name,
            &row.number,
            &row.icmp_sequence,
            &row.from,
            &row.ttl,
            &row.message_bytes,
        ];
        let causes = [&*row.out_of_order, row.cause];
        let round_trips = row.round_trips.iter().map(String::as_str);
        let icmp = row.icmp.iter().map(String::as_str);
        let cells = cells.into_iter().chain(round_trips).chain(causes);
        for cell in cells.chain(icmp).chain([&*row.meaning]) {
            let _ = write!(line, ",{}", quoted(cell));
        }
        line.push_str("\r\n");
        line
    }
}

impl<Out: Write + Send> Sink for CsvLines<Out> {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Echo
    }

    fn record(&self, event: &Event<'_>) {
        let What::Echo(echo) = &event.what else {
            return;
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: String = match echo {
            Echo::Summary(summary) => {
                let rows = unanswered(&mut state.waiting, summary);
                let lines = rows.map(|row| self.line(event.at, echo, &row));
                lines.collect()
            }
            _ => row(echo).map_or_else(String::new, |row| self.line(event.at, echo, &row)),
        };
        follow(&mut state.waiting, echo);
        self.write(&mut state, &lines);
    }
}

/// Who has no line yet, once `echo` has been seen.
fn follow(waiting: &mut BTreeMap<(u32, u64), u16>, echo: &Echo<'_>) {
    let has_its_line = match echo {
        Echo::Request(request) => {
            let place = (request.target.index, request.number);
            waiting.insert(place, request.icmp_sequence);
            return;
        }
        Echo::Reply(reply) if reply.judgement == EchoJudgement::Counted => Some(reply.number),
        Echo::Failure(failure) => failure.number,
        Echo::NoAnswer(silence) if silence.patience != EchoPatience::Waiting => {
            Some(silence.number)
        }
        _ => None,
    };
    if let (Some(whom), Some(number)) = (target(echo), has_its_line) {
        waiting.remove(&(whom.index, number));
    }
}

/// The requests that have had no line when the run ends. Those in flight are the
/// newest.
fn unanswered(
    waiting: &mut BTreeMap<(u32, u64), u16>,
    summary: &EchoSummary,
) -> impl Iterator<Item = Row> + use<> {
    let index = summary.target.index;
    let mut own = waiting.split_off(&(index, 0));
    if let Some(next) = index.checked_add(1) {
        waiting.append(&mut own.split_off(&(next, 0)));
    }
    let in_flight = usize::try_from(summary.in_flight).unwrap_or(usize::MAX);
    let lost = own.len().saturating_sub(in_flight);
    own.into_iter()
        .enumerate()
        .map(move |(place, ((_, number), icmp_sequence))| Row {
            event: if place < lost { "lost" } else { "in_flight" },
            number: number.to_string(),
            icmp_sequence: icmp_sequence.to_string(),
            ..Row::default()
        })
}

fn row(echo: &Echo<'_>) -> Option<Row> {
    match echo {
        Echo::Reply(reply) => Some(of_reply(reply)),
        Echo::Failure(failure) => Some(of_failure(failure)),
        // What may yet be answered is no news.
        Echo::NoAnswer(silence) if silence.patience != EchoPatience::Waiting => Some(Row {
            event: match silence.patience {
                EchoPatience::Ended => "in_flight",
                _ => "lost",
            },
            number: silence.number.to_string(),
            icmp_sequence: silence.icmp_sequence.to_string(),
            ..Row::default()
        }),
        Echo::Unresolved(unresolved) => Some(Row {
            event: "unresolved",
            meaning: unresolved.reason.clone(),
            ..Row::default()
        }),
        Echo::Redirect(redirect) => Some(Row {
            event: "redirect",
            number: redirect.number.to_string(),
            icmp_sequence: redirect.icmp_sequence.to_string(),
            from: redirect.from.to_string(),
            icmp: [
                String::new(),
                redirect.icmp_code.to_string(),
                redirect.gateway.to_string(),
            ],
            meaning: redirect.meaning.clone(),
            ..Row::default()
        }),
        _ => None,
    }
}

fn of_reply(reply: &EchoReply<'_>) -> Row {
    let round_trips = [
        Some(reply.round_trip),
        Some(reply.user_round_trip),
        reply.kernel_round_trip,
    ];
    Row {
        event: match reply.judgement {
            EchoJudgement::Counted => "reply",
            EchoJudgement::Duplicate => "duplicate",
            EchoJudgement::BadChecksum => "bad_checksum",
            EchoJudgement::DifferentAddress => "different_address",
        },
        number: reply.number.to_string(),
        icmp_sequence: reply.icmp_sequence.to_string(),
        from: reply.from.to_string(),
        ttl: optional(reply.ttl),
        message_bytes: reply.message_bytes.to_string(),
        round_trips: round_trips.map(|time| optional(time.map(|time| time.as_nanos()))),
        out_of_order: reply.out_of_order.to_string(),
        ..Row::default()
    }
}

fn of_failure(failure: &EchoFailure) -> Row {
    let mut row = Row {
        event: "error",
        number: optional(failure.number),
        icmp_sequence: optional(failure.icmp_sequence),
        cause: kind(&failure.cause),
        ..Row::default()
    };
    match &failure.cause {
        EchoCause::Icmp {
            from,
            icmp_type,
            icmp_code,
            info,
            meaning,
            ..
        } => {
            row.from = from.to_string();
            row.icmp = [
                icmp_type.to_string(),
                icmp_code.to_string(),
                info.to_string(),
            ];
            row.meaning.clone_from(meaning);
        }
        EchoCause::TooLong { mtu_bytes } => {
            let [_, _, info] = &mut row.icmp;
            *info = mtu_bytes.to_string();
            "message too long".clone_into(&mut row.meaning);
        }
        EchoCause::Local { meaning, .. } | EchoCause::Send { meaning, .. } => {
            row.meaning.clone_from(meaning);
        }
    }
    row
}

fn optional(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A cell as RFC 4180 has it: in quotes where it holds a comma or a quote.
/// Nothing else that needs them passes [`glyph::clean`].
fn quoted(cell: &str) -> String {
    let cell = glyph::clean(cell);
    if cell.contains([',', '"']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EchoNoAnswer, Place};
    use crate::report::ping::made_up::{
        failure, named, reply, request, silence, started, summary, unresolved,
    };

    fn written(events: &[Echo<'static>]) -> String {
        let started_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let lines = CsvLines::begin(Vec::new(), started_at, Arc::default());
        for (number, echo) in (1..).zip(events) {
            lines.record(&Event {
                at: Duration::from_millis(number),
                host: Place::Client,
                what: What::Echo(echo.clone()),
            });
        }
        let state = lines.state.into_inner().unwrap();
        assert!(state.failure.is_none());
        String::from_utf8(state.out).unwrap()
    }

    #[test]
    fn a_line_for_each_thing_that_became_of_a_request() {
        let mut echoes = vec![started(0, "alpha"), started(1, "beta"), request(0, 1)];
        echoes.push(reply(0, 1, 10, EchoJudgement::Counted));
        echoes.push(reply(1, 65537, 20, EchoJudgement::Duplicate));
        echoes.extend([silence(0, 2), failure(1, 3), unresolved(2, "gamma")]);
        let text = written(&echoes);
        assert!(
            text.split_inclusive('\n')
                .all(|line| line.ends_with("\r\n"))
        );
        insta::assert_snapshot!(text.replace("\r\n", "\n"), @r"
        at_ns,unix_ns,event,index,name,number,icmp_sequence,from,ttl,message_bytes,rtt_ns,rtt_user_ns,rtt_kernel_ns,out_of_order,cause,icmp_type,icmp_code,info,meaning
        4000000,1000004000000,reply,0,alpha,1,1,192.0.2.1,64,64,10000000,10020000,9990000,false,,,,,
        5000000,1000005000000,duplicate,1,beta,65537,1,192.0.2.2,64,64,20000000,20020000,19990000,false,,,,,
        6000000,1000006000000,lost,0,alpha,2,2,,,,,,,,,,,,
        7000000,1000007000000,error,1,beta,3,3,192.0.2.201,,,,,,,destination_unreachable,3,1,0,Destination Host Unreachable
        8000000,1000008000000,unresolved,2,gamma,,,,,,,,,,,,,,Name or service not known
        ");
    }

    #[test]
    fn what_had_no_line_has_one_with_the_summary() {
        let mut echoes = vec![started(0, "alpha"), request(1, 1)];
        echoes.extend((1..=3).map(|number| request(0, number)));
        // With many targets, a sequence number is the next for any of them.
        let mut last = request(0, 4);
        if let Echo::Request(request) = &mut last {
            request.icmp_sequence = 900;
        }
        echoes.push(last);
        echoes.push(reply(0, 2, 10, EchoJudgement::Counted));
        echoes.extend([summary(0, "alpha"), summary(1, "beta")]);
        let text = written(&echoes);
        let fates = text.lines().skip(1).map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[2], cells[4], cells[5], cells[6])
        });
        let fates: Vec<_> = fates.collect();
        let expected = [
            ("reply", "alpha", "2", "2"),
            ("lost", "alpha", "1", "1"),
            ("lost", "alpha", "3", "3"),
            ("in_flight", "alpha", "4", "900"),
            ("in_flight", "beta", "1", "1"),
        ];
        assert_eq!(fates, expected);
    }

    #[test]
    fn names_cannot_break_a_line_or_a_cell() {
        let name = "a,\"b\"\r\n\u{1b}[2J\u{202e}c";
        let text = written(&[Echo::NoAnswer(EchoNoAnswer {
            target: named(7, name),
            number: 1,
            icmp_sequence: 1,
            patience: EchoPatience::Over,
        })]);
        let line = text.lines().nth(1).unwrap();
        assert!(
            line.contains(",lost,7,\"a,\"\"b\"\"···[2J·c\",1,1,"),
            "{line}"
        );
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn a_full_disk_stops_the_run() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let stop = Arc::default();
        let lines = CsvLines::begin(Full, SystemTime::UNIX_EPOCH, Arc::clone(&stop));
        assert!(stop.load(Ordering::Relaxed));
        let kind = lines.into_result().map_err(|error| error.kind());
        assert_eq!(kind, Err(io::ErrorKind::StorageFull));
    }
}
