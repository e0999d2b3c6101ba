//! What the operator of a server says, as typed on the console or as a line of
//! JSON from a program.
//!
//! Text in, an order or a reason out; both forms know the same orders.

use serde::{Deserialize, Serialize};

use super::roster::Handle;

/// What the operator can say, a line each.
pub const HELP: [(&str, &str); 7] = [
    ("list", "who is there, and who was"),
    ("send HANDLE TEXT", "a line to one client"),
    ("broadcast TEXT", "a line to all"),
    ("kick HANDLE", "close a client's connection"),
    ("stats", "the sums"),
    ("help", "this"),
    ("quit", "close all and end"),
];

/// An order to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Who is there?
    List,
    /// A line to one client.
    Send {
        /// Which.
        handle: Handle,
        /// What.
        text: String,
    },
    /// A line to all.
    Broadcast {
        /// What.
        text: String,
    },
    /// Close a client's connection.
    Kick {
        /// Which.
        handle: Handle,
    },
    /// The sums.
    Stats,
    /// What can be said?
    Help,
    /// End.
    Quit,
}

impl Order {
    /// Reads an order as typed; `None` for an empty line.
    pub fn typed(line: &str) -> Result<Option<Self>, String> {
        let (word, rest) = word(line);
        let alone = |order| match rest {
            "" => Ok(Some(order)),
            rest => Err(format!("{word} stands alone, and here comes {rest:?}")),
        };
        match word {
            "" => Ok(None),
            "list" => alone(Self::List),
            "stats" => alone(Self::Stats),
            "help" | "?" => alone(Self::Help),
            "quit" | "exit" => alone(Self::Quit),
            "kick" => {
                let (handle, rest) = handle(rest, "kick HANDLE")?;
                match rest {
                    "" => Ok(Some(Self::Kick { handle })),
                    rest => Err(format!("kick takes one handle, and here comes {rest:?}")),
                }
            }
            "send" => {
                let (handle, text) = handle(rest, "send HANDLE TEXT")?;
                let text = said(text, "send HANDLE TEXT")?;
                Ok(Some(Self::Send { handle, text }))
            }
            "broadcast" => {
                let text = said(rest, "broadcast TEXT")?;
                Ok(Some(Self::Broadcast { text }))
            }
            other => Err(format!("there is no order {other:?}; help lists them")),
        }
    }

    /// Reads an order as a program writes it: `{"order":"kick","handle":3}`;
    /// `None` for an empty line.
    pub fn json(line: &str) -> Result<Option<Self>, String> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        let order = serde_json::from_str(line);
        order.map(Some).map_err(|error| {
            // It may quote what it could not read.
            let why = error.to_string().replace(char::is_control, "\u{fffd}");
            format!("not an order: {why}")
        })
    }
}

/// The first word, and what comes after it.
fn word(line: &str) -> (&str, &str) {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (word, rest.trim_start())
}

fn handle<'a>(rest: &'a str, form: &str) -> Result<(Handle, &'a str), String> {
    let (first, rest) = word(rest);
    match first.parse() {
        Ok(handle) => Ok((handle, rest)),
        Err(_) if first.is_empty() => Err(format!("it is {form}")),
        Err(_) => Err(format!(
            "it is {form}, and {first:?} is no handle; list shows them"
        )),
    }
}

fn said(text: &str, form: &str) -> Result<String, String> {
    match text {
        "" => Err(format!("it is {form}")),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn orders_are_read_as_typed() {
        let send = |handle, text: &str| Order::Send {
            handle,
            text: text.into(),
        };
        for (line, order) in [
            ("", None),
            ("  list ", Some(Order::List)),
            ("send 3 hello  you", Some(send(3, "hello  you"))),
            ("send\t3\thi", Some(send(3, "hi"))),
            (
                "broadcast all of you",
                Some(Order::Broadcast {
                    text: "all of you".into(),
                }),
            ),
            ("kick 12", Some(Order::Kick { handle: 12 })),
            ("?", Some(Order::Help)),
            ("exit", Some(Order::Quit)),
        ] {
            assert_eq!(Order::typed(line), Ok(order), "{line:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (line, why) in [
            ("lisst", "there is no order \"lisst\"; help lists them"),
            ("send", "it is send HANDLE TEXT"),
            ("send 3", "it is send HANDLE TEXT"),
            (
                "kick Eve",
                "it is kick HANDLE, and \"Eve\" is no handle; list shows them",
            ),
            ("kick 3 4", "kick takes one handle, and here comes \"4\""),
            ("quit now", "quit stands alone, and here comes \"now\""),
            (
                "kick 4294967296",
                "it is kick HANDLE, and \"4294967296\" is no handle; list shows them",
            ),
        ] {
            assert_eq!(Order::typed(line), Err(why.to_owned()), "{line:?}");
        }
        let json = Order::json(r#"{"order":"kick"}"#).expect_err("no handle");
        assert!(
            json.starts_with("not an order: missing field `handle`"),
            "{json}"
        );
    }

    proptest! {
        /// No line makes it panic, and what is quoted back is escaped.
        #[test]
        fn any_line_is_read_or_refused(line in any::<String>()) {
            for read in [Order::typed(&line), Order::json(&line)] {
                if let Err(why) = read {
                    prop_assert!(!why.chars().any(char::is_control), "{why:?}");
                }
            }
        }

        /// What a program writes is what it meant.
        #[test]
        fn json_orders_round_trip(handle in any::<Handle>(), text in any::<String>()) {
            for order in [
                Order::List, Order::Stats, Order::Help, Order::Quit,
                Order::Kick { handle },
                Order::Broadcast { text: text.clone() },
                Order::Send { handle, text },
            ] {
                let json = serde_json::to_string(&order).expect("it can be written");
                prop_assert_eq!(Order::json(&json), Ok(Some(order)));
            }
        }
    }
}
