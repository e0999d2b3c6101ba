//! Datagrams as they come and go, line by line on standard error: what a person
//! must know, each datagram (`-v`), or each call with the bytes (`--trace`).
//!
//! A sink that writes as things happen. Direction is an arrow and a word's
//! place; what went wrong has a sign.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::figure;
use super::glyph;
use super::line::Line;
use super::style::{Paint, Style};
use crate::event::{Call, Datagram, Event, Outcome, Passage, Place, Sink, Topic, What};
use crate::packet::Conversations;
use crate::packet::summary;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Depth {
    /// Nothing.
    Silent,
    /// Sentences, and no word of any datagram.
    Notes,
    /// What a person must know: errors, empty and cut datagrams, drops.
    #[default]
    Plain,
    /// Each datagram in one line.
    Datagrams,
    /// Each call, and each datagram in hex.
    Calls,
}

/// Writes events as lines.
pub struct Teller<Out> {
    depth: Depth,
    style: Style,
    state: Mutex<State<Out>>,
}

struct State<Out> {
    out: Out,
    /// When a datagram that was ignored was last told: a flood of them is not.
    ignored_at: Option<Duration>,
}

impl<Out: Write + Send> Teller<Out> {
    /// Lines go to `out`.
    pub fn new(out: Out, depth: Depth, style: Style) -> Self {
        Self {
            depth,
            style,
            state: Mutex::new(State {
                out,
                ignored_at: None,
            }),
        }
    }

    fn write(&self, lines: &[Line]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines {
            // What is said besides must not change what is done.
            let _ = line.write(&mut state.out, &self.style);
        }
        let _ = state.out.flush();
    }

    /// Whether a datagram is told now. A refusal that ends a client's
    /// conversation is told as what it fails with; ignored ones are told once a
    /// second.
    fn is_due(&self, event: &Event<'_>, datagram: &Datagram<'_>) -> bool {
        match &datagram.passage {
            _ if self.depth > Depth::Plain => true,
            Passage::Refused(refusal) => event.host != Place::Client || !refusal.is_final,
            Passage::Ignored { .. } => {
                const PAUSE: Duration = Duration::from_secs(1);
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let is_due = state.ignored_at.is_none_or(|at| event.at >= at + PAUSE);
                if is_due {
                    state.ignored_at = Some(event.at);
                }
                is_due
            }
            Passage::Sent | Passage::Received => true,
        }
    }
}

impl<Out: Write + Send> Sink for Teller<Out> {
    fn wants(&self, topic: Topic) -> bool {
        match topic {
            Topic::Note => self.depth >= Depth::Notes,
            Topic::Datagram | Topic::Packet => self.depth >= Depth::Plain,
            Topic::Call => self.depth >= Depth::Calls,
            _ => false,
        }
    }

    fn record(&self, event: &Event<'_>) {
        let lines = match &event.what {
            What::Datagram(datagram) if !self.is_due(event, datagram) => return,
            What::Datagram(datagram) => datagram_lines(event.at, datagram, self.depth, &self.style),
            What::Call(call) => vec![call_line(event.at, call, &self.style)],
            What::Note(note) => vec![Line::of(Paint::Plain, &format!("socklab: {}", note.text))],
            What::Packet(packet) => {
                let mut conversations = Conversations::new();
                let dissection = packet.dissect();
                conversations.observe(&dissection);
                let text = summary::line(&dissection, &conversations, summary::Style::default());
                let line = at(event.at).with(Paint::Faint, "wire  ");
                vec![line.with(Paint::Plain, &text)]
            }
            _ => return,
        };
        self.write(&lines);
    }
}

fn at(time: Duration) -> Line {
    Line::of(Paint::Faint, &format!("{:>8.3} s  ", time.as_secs_f64()))
}

fn call_line(time: Duration, call: &Call, style: &Style) -> Line {
    let mut line = at(time).with(
        Paint::Plain,
        &format!("{} {}({})", call.socket, call.name, call.arguments),
    );
    match &call.outcome {
        Outcome::Returned { returned, detail } => {
            let detail = detail
                .as_ref()
                .map_or_else(String::new, |text| format!(", {text}"));
            line.push(Paint::Plain, &format!(" = {returned}{detail}"));
        }
        Outcome::Failed { errno } => line.push(Paint::Failure, &format!(" ✗ {errno}")),
    }
    let took = format!("  {}", figure::duration(call.took));
    if line.width() + took.len() <= style.width {
        line.push(Paint::Faint, &took);
    }
    line
}

/// The lines of one datagram; none where it is not worth one at this depth.
fn datagram_lines(
    time: Duration,
    datagram: &Datagram<'_>,
    depth: Depth,
    style: &Style,
) -> Vec<Line> {
    let is_odd = match datagram.passage {
        Passage::Received => datagram.length == 0 || datagram.is_cut(),
        Passage::Sent => false,
        Passage::Ignored { .. } | Passage::Refused(_) => true,
    };
    if depth < Depth::Datagrams {
        let told = Line::of(Paint::Plain, &format!("socklab: {}", sentence(datagram)));
        return if is_odd { vec![told] } else { Vec::new() };
    }
    let (sign, paint) = match datagram.passage {
        Passage::Sent => ("→", Paint::Plain),
        Passage::Received => ("←", Paint::Plain),
        Passage::Ignored { .. } => ("⊘", Paint::Warning),
        Passage::Refused(_) => ("✗", Paint::Failure),
    };
    let mut line = at(time).with(paint, sign).with(Paint::Plain, " ");
    line.push(Paint::Heading, &datagram.peer.to_string());
    if let Some(local) = datagram.local {
        line.push(Paint::Faint, &format!(" at {local}"));
    }
    line.push(paint, &format!("  {}", size(datagram)));
    match &datagram.passage {
        Passage::Refused(refusal) => line.push(paint, &format!("  {refusal}")),
        Passage::Ignored { reason } => line.push(paint, &format!("  ignored: {reason}")),
        Passage::Sent | Passage::Received if depth == Depth::Datagrams => {
            let text = String::from_utf8_lossy(&datagram.bytes);
            let text = glyph::escape(&text, style.charset);
            let room = style.width.saturating_sub(line.width() + 4);
            if !text.is_empty() && room > 8 {
                line.push(Paint::Plain, "  ");
                line.push_fit(Paint::Faint, &format!("\"{text}\""), room);
            }
        }
        Passage::Sent | Passage::Received => {}
    }
    let mut lines = vec![line];
    if depth >= Depth::Calls && !matches!(datagram.passage, Passage::Refused(_)) {
        lines.extend(hex(&datagram.bytes));
    }
    lines
}

fn sentence(datagram: &Datagram<'_>) -> String {
    let peer = datagram.peer;
    match &datagram.passage {
        Passage::Refused(refusal) => format!("a datagram to {peer} came to nothing: {refusal}"),
        Passage::Ignored { reason } => format!("a datagram from {peer} was ignored: {reason}"),
        _ if datagram.length == 0 => format!("an empty datagram from {peer}"),
        _ => format!("a datagram from {peer}: {}", size(datagram)),
    }
}

fn size(datagram: &Datagram<'_>) -> String {
    let length = figure::counted(datagram.length as u64, "byte");
    match &datagram.passage {
        Passage::Received | Passage::Sent if datagram.length == 0 => "empty".into(),
        Passage::Received if datagram.is_cut() => {
            let kept = figure::grouped(datagram.bytes.len() as u64);
            format!("{length}, cut to {kept}")
        }
        _ => length,
    }
}

/// Sixteen bytes a row: where, what, and as text.
fn hex(bytes: &[u8]) -> Vec<Line> {
    const ROW: usize = 16;
    let rows = bytes.chunks(ROW).enumerate();
    rows.map(|(index, row)| {
        let digits: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = row
            .iter()
            .map(|byte| match byte {
                b' '..=b'~' => char::from(*byte),
                _ => '.',
            })
            .collect();
        Line::of(Paint::Faint, &format!("            {:04x}  ", index * ROW))
            .with(Paint::Plain, &format!("{:<48}", digits.join(" ")))
            .with(Paint::Faint, &text)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::event::Refusal;

    fn lines(depth: Depth, passage: Passage, bytes: &[u8], length: usize) -> Vec<String> {
        let datagram = Datagram {
            socket: "server".into(),
            passage,
            peer: ([127, 0, 0, 1], 4000).into(),
            local: None,
            length,
            bytes: Cow::Borrowed(bytes),
        };
        let style = Style::default();
        let lines = datagram_lines(Duration::from_millis(1500), &datagram, depth, &style);
        let text = |line: &Line| {
            let mut out = Vec::new();
            line.write(&mut out, &style).expect("memory");
            String::from_utf8(out).expect("text").trim_end().to_owned()
        };
        lines.iter().map(text).collect()
    }

    #[test]
    fn what_is_ordinary_needs_no_line_and_what_is_odd_has_one() {
        let plain = |passage, bytes: &[u8], length| lines(Depth::Plain, passage, bytes, length);
        assert!(plain(Passage::Received, b"hello", 5).is_empty());
        assert!(plain(Passage::Sent, b"", 0).is_empty());
        assert_eq!(
            plain(Passage::Received, b"", 0),
            ["socklab: an empty datagram from 127.0.0.1:4000"]
        );
        assert_eq!(
            plain(Passage::Received, b"hello", 2000),
            ["socklab: a datagram from 127.0.0.1:4000: 2,000 bytes, cut to 5"]
        );
        let refusal = Refusal {
            errno: "ECONNREFUSED".into(),
            cause: "port unreachable".into(),
            offender: Some([10, 0, 0, 2].into()),
            mtu: None,
            is_final: true,
        };
        assert_eq!(
            plain(Passage::Refused(refusal), b"x", 1),
            ["socklab: a datagram to 127.0.0.1:4000 came to nothing: \
              ICMP port unreachable from 10.0.0.2 (ECONNREFUSED)"]
        );
    }

    #[test]
    fn each_datagram_has_a_direction_a_size_and_its_text_or_its_bytes() {
        assert_eq!(
            lines(Depth::Datagrams, Passage::Sent, b"hi\n", 3),
            ["   1.500 s  → 127.0.0.1:4000  3 bytes  \"hi\\n\""]
        );
        let reason = "not admitted".into();
        assert_eq!(
            lines(Depth::Datagrams, Passage::Ignored { reason }, b"hi\n", 3),
            ["   1.500 s  ⊘ 127.0.0.1:4000  3 bytes  ignored: not admitted"]
        );
        assert_eq!(
            lines(Depth::Calls, Passage::Received, b"hi\n", 3),
            [
                "   1.500 s  ← 127.0.0.1:4000  3 bytes",
                "            0000  68 69 0a                                        hi.",
            ]
        );
    }
}
