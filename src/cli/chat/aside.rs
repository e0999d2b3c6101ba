//! What is told of the steps while somebody types: standard error, or, where a
//! line editor has the same terminal, the editor, which puts each line above
//! what is being typed.
//!
//! Owns no terminal. A line that is not yet whole waits.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Shows a line.
pub(super) type Show = Arc<dyn Fn(&str) + Send + Sync>;

/// A way to standard error; each clone is the same way.
#[derive(Clone, Default)]
pub(super) struct Aside(Arc<Mutex<Way>>);

#[derive(Default)]
struct Way {
    partial: Vec<u8>,
    /// Where it leads instead.
    show: Option<Show>,
}

impl Aside {
    /// Leads to `show` from now on, or to standard error where that is none.
    pub(super) fn lead(&self, show: Option<Show>) {
        let mut way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        way.show = show;
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        way.partial.extend_from_slice(bytes);
        let Some(end) = way.partial.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(bytes.len());
        };
        let rest = way.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut way.partial, rest);
        match &way.show {
            Some(show) => String::from_utf8_lossy(&whole)
                .lines()
                .for_each(|line| show(line)),
            None => io::stderr().write_all(&whole)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_led_aside() {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let mut aside = Aside::default();
        let lines = Arc::clone(&shown);
        aside.lead(Some(Arc::new(move |line: &str| {
            lines.lock().expect("nobody panicked").push(line.to_owned());
        })));
        for text in ["one\ntw", "o", "\nthree\n", "never"] {
            aside.write_all(text.as_bytes()).expect("it is taken");
        }
        let shown = shown.lock().expect("nobody panicked");
        assert_eq!(*shown, ["one", "two", "three"]);
    }
}
