//! Targets from a file: one a line, the rest of the line ignored, as are blank
//! lines and those that begin with `#`.
//!
//! Reads a line at a time; what it makes of them is a [`Spec`] each.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::spec::Spec;
use crate::error::Error;

/// The targets of the file at `path`; `-` is standard input.
pub fn read_file(path: &Path, each: impl FnMut(Spec)) -> Result<(), Error> {
    if path == Path::new("-") {
        return read("standard input", io::stdin().lock(), each);
    }
    let name = path.display().to_string();
    let file = File::open(path).map_err(|cause| Error::new("open", &name, cause))?;
    read(&name, BufReader::new(file), each)
}

/// The targets that `lines` name.
pub fn read(name: &str, lines: impl BufRead, mut each: impl FnMut(Spec)) -> Result<(), Error> {
    for (place, line) in lines.lines().enumerate() {
        let line = line.map_err(|cause| unreadable(name, place + 1, cause))?;
        // Some editors begin a file with a byte order mark.
        let line = if place == 0 {
            line.trim_start_matches('\u{feff}')
        } else {
            &line
        };
        let Some(operand) = line.split_whitespace().next() else {
            continue;
        };
        if operand.starts_with('#') {
            continue;
        }
        let spec = Spec::parse(operand).map_err(|error| {
            let place = format!("{name} line {}", place + 1);
            Error::new("read", place, error.to_string())
        })?;
        each(spec);
    }
    Ok(())
}

fn unreadable(name: &str, line: usize, cause: io::Error) -> Error {
    if cause.kind() != io::ErrorKind::InvalidData {
        return Error::new("read", name, cause);
    }
    let place = format!("{name} line {line}");
    Error::new("read", place, "it is not text in UTF-8")
        .remedy("give a file with one name, address or network a line")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn specs(text: &[u8]) -> Result<Vec<Spec>, String> {
        let mut specs = Vec::new();
        let read = read("FILE", text, |spec| specs.push(spec));
        read.map(|()| specs).map_err(|error| error.to_string())
    }

    #[test]
    fn one_target_a_line() {
        let text = b"# hosts\n\n  one.example second\n#two\n127.1 # x\r\nthree#four\n";
        let names: Vec<Spec> = ["one.example", "127.1", "three#four"]
            .map(|name| Spec::Name(name.to_owned()))
            .into();
        assert_eq!(specs(text), Ok(names));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_name() {
        let names = vec![Spec::Name("one.example".to_owned())];
        assert_eq!(specs("\u{feff}one.example\n".as_bytes()), Ok(names));
    }

    #[test]
    fn an_error_names_the_line() {
        let error = specs(b"a\n10.0.0.0/99\n").unwrap_err();
        assert!(error.starts_with("read FILE line 2: "), "{error}");
    }

    #[test]
    fn what_is_no_text_is_told_by_its_line() {
        assert_eq!(
            specs(b"one.example\n\x7fELF\xff\xfe\n").unwrap_err(),
            "read FILE line 2: it is not text in UTF-8; \
             give a file with one name, address or network a line"
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = specs(&bytes);
        }
    }
}
