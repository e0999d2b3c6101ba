//! HTTP requests as bytes and what answers them (RFC 9110, RFC 9112).
//!
//! Pure: a request's head as far as it has come in, the whole answer out.
//! `GET` and `HEAD` of `/metrics`, and nothing else; one request a connection.

use crate::report::ping::prometheus::CONTENT_TYPE;

/// Longer heads are refused.
pub(super) const LONGEST_HEAD: usize = 8 * 1024;
/// More header fields are refused.
const MOST_FIELDS: usize = 64;

/// What a connection has coming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The head is not complete.
    Incomplete,
    /// These bytes, and then the end.
    Answer(Vec<u8>),
}

/// What answers the bytes so far; `figures` is asked only where they are sent.
pub(super) fn verdict(head: &[u8], figures: &dyn Fn() -> Result<String, String>) -> Verdict {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let answer = match request.parse(head) {
        Ok(httparse::Status::Partial) if head.len() < LONGEST_HEAD => return Verdict::Incomplete,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            refusal("431 Request Header Fields Too Large", "", Body::Sent)
        }
        Err(_) => refusal("400 Bad Request", "", Body::Sent),
        Ok(httparse::Status::Complete(_)) => {
            let path = request.path.unwrap_or_default();
            let path = path.split('?').next().unwrap_or_default();
            respond(request.method.unwrap_or_default(), path, figures)
        }
    };
    Verdict::Answer(answer)
}

/// Whether the body follows the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Sent,
    Left,
}

fn respond(method: &str, path: &str, figures: &dyn Fn() -> Result<String, String>) -> Vec<u8> {
    let body = match method {
        "GET" => Body::Sent,
        "HEAD" => Body::Left,
        _ => return refusal("405 Method Not Allowed", "Allow: GET, HEAD\r\n", Body::Sent),
    };
    if path != "/metrics" {
        return refusal("404 Not Found", "", body);
    }
    match figures() {
        Ok(text) => message(
            "200 OK",
            &format!("Content-Type: {CONTENT_TYPE}\r\n"),
            &text,
            body,
        ),
        Err(_) => refusal("500 Internal Server Error", "", body),
    }
}

fn refusal(status: &str, fields: &str, body: Body) -> Vec<u8> {
    let fields = format!("Content-Type: text/plain; charset=utf-8\r\n{fields}");
    let text = format!("{status}: the figures are at GET /metrics\n");
    message(status, &fields, &text, body)
}

fn message(status: &str, fields: &str, text: &str, body: Body) -> Vec<u8> {
    let length = text.len();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    .into_bytes();
    if body == Body::Sent {
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answered(head: &str) -> String {
        match verdict(head.as_bytes(), &|| Ok("a_total 1\n".to_owned())) {
            Verdict::Incomplete => "incomplete".to_owned(),
            Verdict::Answer(bytes) => String::from_utf8(bytes).unwrap(),
        }
    }

    #[test]
    fn a_scrape_gets_the_figures() {
        insta::assert_snapshot!(
            answered("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").replace('\r', ""),
            @r"
        HTTP/1.1 200 OK
        Content-Type: text/plain; version=0.0.4; charset=utf-8
        Content-Length: 10
        Cache-Control: no-store
        Connection: close

        a_total 1
        "
        );
        let head = answered("HEAD /metrics HTTP/1.0\r\n\r\n");
        assert!(head.contains("Content-Length: 10\r\n") && head.ends_with("\r\n\r\n"));
    }

    #[test]
    fn nothing_else_is_answered_with_figures() {
        let many = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(MOST_FIELDS + 1));
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(LONGEST_HEAD));
        for (head, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("HEAD /favicon.ico HTTP/1.1\r\n\r\n", "404"),
            (
                "POST /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
                "405",
            ),
            ("\x16\x03\x01\x02\x00\x01", "400"),
            ("GET /metrics HTTP/9.9\r\n\r\n", "400"),
            (&many, "431"),
            (&long, "431"),
        ] {
            let answer = answered(head);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
            assert!(!answer.contains("a_total"));
        }
        assert!(answered("PUT /metrics HTTP/1.1\r\n\r\n").contains("\r\nAllow: GET, HEAD\r\n"));
        for part in [
            "",
            "G",
            "GET /metrics HTTP/1.1\r\n",
            "GET /metrics HTTP/1.1\r\nHost: a\r\n",
        ] {
            assert_eq!(answered(part), "incomplete", "{part}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer_or_patience(head in proptest::collection::vec(any::<u8>(), 0..200)) {
            let verdict = verdict(&head, &|| Ok(String::new()));
            if let Verdict::Answer(bytes) = verdict {
                prop_assert!(bytes.starts_with(b"HTTP/1.1 "));
            }
        }
    }
}
