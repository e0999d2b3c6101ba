//! A call in a few lines of a lane.
//!
//! What does not fit is abbreviated: addresses become host names and then
//! ports, arguments give way to their length or an ellipsis. The call's name and
//! its result, 0 too, always stay.

use super::story::Part;
use super::words::{Addresses, Context, Form, Word, words};
use crate::event::Call;
use crate::report::line::Line;
use crate::report::style::Paint;

/// The lines that say `part` of a call: one, two, or seldom three.
pub(super) fn lines(call: &Call, part: Part, context: Context<'_>) -> Vec<Line> {
    let mut attempts = attempts(call, context.by_name).into_iter();
    let fitting = attempts.find_map(|(form, most)| {
        wrapped(&words(call, part, form, context), context.room).filter(|lines| lines.len() <= most)
    });
    fitting.unwrap_or_else(|| cut(&words(call, part, Form::LEAST, context), context.room))
}

/// The forms to try, the best first, each with the lines it may take.
fn attempts(call: &Call, by_name: bool) -> Vec<(Form, usize)> {
    use Addresses::{Full, Names, Ports, Senderless};
    let whole = Form {
        addresses: if by_name { Names } else { Full },
        arguments: true,
        detail: true,
    };
    let with = |addresses| Form { addresses, ..whole };
    // A buffer's length is the first thing that a reader can do without.
    let elided = |addresses| Form {
        arguments: !call.name.starts_with("recv"),
        ..with(addresses)
    };
    let bare = Form {
        arguments: false,
        ..with(Ports)
    };
    vec![
        (whole, 1),
        (whole, 2),
        (elided(Names), 2),
        (elided(Ports), 2),
        (elided(Senderless), 2),
        (with(Names), 3),
        (with(Ports), 3),
        (elided(Ports), 3),
        (elided(Senderless), 3),
        (bare, 3),
        (Form::LEAST, 3),
    ]
}

/// How far a second line is indented.
const INDENT: usize = 2;

/// The words in lines, where every word fits: in one, or in two that break
/// before the answer or the arguments, or as they come.
fn wrapped(words: &[Word], room: usize) -> Option<Vec<Line>> {
    if let Some(line) = set(words, 0, room) {
        return Some(vec![line]);
    }
    let leading = |index: &usize| words[*index].leads;
    let mut breaks = (0..words.len()).rev().filter(leading);
    let broken = breaks.find_map(|index| {
        let (first, second) = words.split_at(index);
        Some(vec![set(first, 0, room)?, set(second, INDENT, room)?])
    });
    broken.or_else(|| greedy(words, room))
}

/// The words in one line, if they fit.
fn set(words: &[Word], indent: usize, room: usize) -> Option<Line> {
    let mut line = Line::default();
    line.pad(indent);
    for (index, word) in words.iter().enumerate() {
        line.fill(Paint::Plain, ' ', usize::from(word.spaced && index > 0));
        line.push(word.paint, &word.text);
    }
    (line.width() <= room).then_some(line)
}

/// The words in as few lines as they take.
fn greedy(words: &[Word], room: usize) -> Option<Vec<Line>> {
    let mut lines = Vec::new();
    let mut rest = words;
    while !rest.is_empty() {
        let indent = if lines.is_empty() { 0 } else { INDENT };
        let mut counts = (1..=rest.len()).rev();
        let (count, line) =
            counts.find_map(|count| Some((count, set(&rest[..count], indent, room)?)))?;
        lines.push(line);
        rest = &rest[count..];
    }
    Some(lines)
}

/// The words in two lines, what is too long cut short.
fn cut(words: &[Word], room: usize) -> Vec<Line> {
    let (said, answered): (Vec<_>, Vec<_>) = words
        .iter()
        .partition(|word| word.paint == Paint::Plain && !word.spaced);
    let mut lines = Vec::new();
    for (words, indent) in [(said, 0), (answered, INDENT)] {
        let mut line = Line::default();
        line.pad(indent.min(room));
        let start = line.width();
        for word in words {
            let gap = usize::from(word.spaced && line.width() > start);
            if line.width() + gap < room {
                line.fill(Paint::Plain, ' ', gap);
                let room = room - line.width();
                line.push_fit(word.paint, &word.text, room);
            }
        }
        if line.width() > start {
            lines.push(line);
        }
    }
    lines
}
