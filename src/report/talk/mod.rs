//! What the tools tell while they converse, in lines for people, as it happens:
//! a sink over standard error.
//!
//! Owns the words and how much is said. Never touches the conversation's bytes
//! on standard output.

mod dump;
mod words;

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::app;
use super::line::Line;
use super::style::{Paint, Style};
use crate::event::{Call, Event, Outcome, Sink, SocketName, Talk, Told, Topic, What};
use crate::packet::{Conversations, Protocol, summary};

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// What whoever waits must know: where it listens, and what goes wrong.
    Least,
    /// Each step of a conversation, and the kernel's figures at its end.
    Steps,
    /// Every call too, and the bytes.
    Everything,
}

/// Tells what happens.
pub struct Teller<Out> {
    detail: Detail,
    style: Style,
    state: Mutex<(Out, Conversations)>,
}

impl<Out: Write + Send> Teller<Out> {
    /// Lines go to `out`.
    pub fn new(out: Out, detail: Detail, style: Style) -> Self {
        Self {
            detail,
            style,
            state: Mutex::new((out, Conversations::new())),
        }
    }

    /// An application's step in words.
    fn app(&self, event: &Event<'_>) -> Vec<Line> {
        let texts = match &event.what {
            What::Chat(step) => app::chat::lines(step, self.detail),
            What::File(step) => app::file::lines(step, event.host, self.detail),
            What::Proxy(step) => app::proxy::lines(step, self.detail),
            What::Remote(step) => app::remote::lines(step, self.detail),
            _ => Vec::new(),
        };
        let line = |text: &String| match self.detail {
            Detail::Least => named(text),
            _ => step(event.at, Paint::State, text),
        };
        texts.iter().map(line).collect()
    }

    fn lines(&self, event: &Event<'_>, conversations: &mut Conversations) -> Vec<Line> {
        let is_brief = self.detail == Detail::Least;
        match &event.what {
            What::Note(note) => vec![named(&note.text)],
            What::Chat(_) | What::File(_) | What::Proxy(_) | What::Remote(_) => self.app(event),
            What::Talk(Talk { told, .. }) if is_brief => words::brief(told)
                .map(|text| vec![named(&text)])
                .unwrap_or_default(),
            What::Talk(Talk {
                socket,
                told: Told::Chunk { way, offset, bytes },
            }) => {
                let title = words::chunk(*way, *offset, bytes.len());
                let title = step(event.at, Paint::State, &format!("{title} ({socket})"));
                let rows = dump::rows(*offset, bytes);
                std::iter::once(title).chain(rows).collect()
            }
            What::Talk(Talk { socket, told }) => {
                let (paint, texts) = words::steps(told);
                let who = if is_one_of_many(socket) {
                    format!("{socket}: ")
                } else {
                    String::new()
                };
                let lines = texts.iter();
                lines
                    .map(|text| step(event.at, paint, &format!("{who}{text}")))
                    .collect()
            }
            What::Call(call) => vec![step(event.at, Paint::Faint, &called(call))],
            What::Packet(packet) => {
                let mut dissection = packet.dissect();
                conversations.observe(&dissection);
                conversations.explain(&mut dissection);
                let style = summary::Style {
                    charset: self.style.charset,
                    ..summary::Style::default()
                };
                let text = summary::line(&dissection, conversations, style);
                vec![step(event.at, Paint::Layer(Protocol::Tcp), &text)]
            }
            _ => Vec::new(),
        }
    }
}

impl<Out: Write + Send> Sink for Teller<Out> {
    fn wants(&self, topic: Topic) -> bool {
        match topic {
            Topic::Note | Topic::Talk | Topic::App => true,
            Topic::Packet | Topic::Routine => self.detail > Detail::Least,
            Topic::Call | Topic::Chunk => self.detail == Detail::Everything,
            _ => false,
        }
    }

    fn record(&self, event: &Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (out, conversations) = &mut *state;
        for line in self.lines(event, conversations) {
            // Where nobody takes it, it is lost: what is said besides must not
            // change what is done.
            let _ = line.write(out, &self.style);
        }
        let _ = out.flush();
    }
}

/// Whether a line must say which socket it is about.
fn is_one_of_many(socket: &SocketName) -> bool {
    socket.0.starts_with("client ")
}

/// A call, its arguments and what came of it, as strace(1) has them.
fn called(call: &Call) -> String {
    let came = match &call.outcome {
        Outcome::Returned {
            returned,
            detail: Some(detail),
        } => format!("{returned}, {detail}"),
        Outcome::Returned { returned, .. } => returned.to_string(),
        Outcome::Failed { errno } => errno.clone(),
    };
    format!(
        "{}: {}({}) = {came}",
        call.socket, call.name, call.arguments
    )
}

/// A line with the program's name before it, as errors have it.
fn named(text: &str) -> Line {
    Line::of(Paint::Plain, &format!("socklab: {text}"))
}

/// A line with its time before it.
fn step(at: Duration, paint: Paint, text: &str) -> Line {
    let time = format!("{:>11.6}  ", at.as_secs_f64());
    Line::of(Paint::Faint, &time).with(paint, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Figures, Place, Side, Way};

    fn told(detail: Detail, told: Told<'_>) -> String {
        let teller = Teller::new(Vec::new(), detail, Style::default());
        teller.record(&Event {
            at: Duration::from_micros(1_234),
            host: Place::Client,
            what: What::Talk(Talk {
                socket: SocketName::from("connection"),
                told,
            }),
        });
        let (out, _) = teller.state.into_inner().expect("nobody panicked");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn whoever_waits_is_told_where() {
        let local = "[::]:5073".parse().expect("an address");
        let line = told(Detail::Least, Told::Listening { local });
        assert_eq!(line, "socklab: listening on [::]:5073\n");
        let end = Told::Ended {
            by: Side::Us,
            bytes: 5,
        };
        assert_eq!(told(Detail::Least, end.clone()), "");
        assert_eq!(
            told(Detail::Steps, end),
            "   0.001234  FIN sent: we say no more, after 5 bytes\n"
        );
    }

    #[test]
    fn bytes_are_shown_in_hex_with_their_place_and_nothing_of_them_as_it_is() {
        let chunk = Told::Chunk {
            way: Way::Received,
            offset: 16,
            bytes: (&b"\x1b[2Jhello, this is more\n"[..]).into(),
        };
        assert_eq!(
            told(Detail::Everything, chunk),
            "   0.001234  ← 24 bytes received, from byte 16 on (connection)\n\
             \x20  00000010  1b 5b 32 4a 68 65 6c 6c  6f 2c 20 74 68 69 73 20  .[2Jhello, this\n\
             \x20  00000020  69 73 20 6d 6f 72 65 0a                           is more.\n"
        );
    }

    #[test]
    fn the_figures_say_what_held_the_sender_back() {
        let figures = Figures {
            lasted: Duration::from_millis(100),
            sent: 1_000_000,
            acknowledged: Some(1_000_000),
            received: 12,
            rtt: Some(Duration::from_micros(120)),
            min_rtt: Some(Duration::from_micros(40)),
            retransmitted: 2,
            congestion_window: 10,
            send_mss: 1448,
            busy: Some(Duration::from_millis(80)),
            receive_window_limited: Some(Duration::from_millis(40)),
            send_buffer_limited: Some(Duration::ZERO),
        };
        assert_eq!(
            told(Detail::Steps, Told::Over(Box::new(figures))),
            "   0.001234  over after 100 ms: 1,000,000 bytes sent, all acknowledged; 12 received\n\
             \x20  0.001234  RTT 120 µs (least 40.0 µs), 2 segments sent again, cwnd 10 segments \
             of 1,448 bytes\n\
             \x20  0.001234  sending for 80.0 ms; held back by the peer's window 40.0 ms, by our \
             buffer 0.00 µs\n"
        );
    }
}
