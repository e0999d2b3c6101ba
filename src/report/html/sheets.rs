//! The concurrency models as a page of tables that needs nothing else: the style
//! sheet inside, no script, and no request allowed by its own content security
//! policy.

use std::io::{self, Write};

use super::markup::{Attribute, Markup};
use super::{STYLE, hash};
use crate::report::models::{Sheet, Shown};
use crate::report::table::Align;

const TITLE: &str = "Which way to serve many clients costs what?";

/// Writes the page.
pub(in crate::report) fn sheets(out: &mut impl Write, shown: &Shown<'_>) -> io::Result<()> {
    let mut text = Markup::default();
    text.own("<!DOCTYPE html>\n");
    text.element("html", &[("lang", &"en")], |html| {
        html.element("head", &[], head);
        html.element("body", &[], |body| {
            body.element("header", &[], |header| {
                header.leaf("p", &[("class", &"brand")], "socklab tcp models");
                header.leaf("h1", &[], TITLE);
                header.leaf("p", &[("class", &"setting")], shown.setting());
            });
            body.element("main", &[("id", &"main")], |main| {
                for failure in shown.failures() {
                    main.leaf("p", &[("class", &"failure")], format_args!("✗ {failure}"));
                }
                for sheet in shown.sheets() {
                    section(main, &sheet);
                }
            });
        });
    });
    text.line();
    out.write_all(text.into_text().as_bytes())
}

fn head(head: &mut Markup) {
    let policy = format!(
        "default-src 'none'; style-src {}; base-uri 'none'; form-action 'none'",
        hash(STYLE)
    );
    let viewport = "width=device-width, initial-scale=1";
    head.void("meta", &[("charset", &"utf-8")]);
    let policy: [Attribute<'_>; 2] = [
        ("http-equiv", &"Content-Security-Policy"),
        ("content", &policy),
    ];
    head.void("meta", &policy);
    head.void("meta", &[("name", &"viewport"), ("content", &viewport)]);
    head.leaf("title", &[], format_args!("{TITLE} · socklab tcp models"));
    head.element("style", &[], |style| style.own(STYLE));
}

fn section(main: &mut Markup, sheet: &Sheet) {
    main.element("section", &[], |section| {
        section.leaf("h2", &[], &sheet.title);
        section.leaf("p", &[], sheet.lesson);
        let scroll: [Attribute<'_>; 4] = [
            ("class", &"scroll"),
            ("role", &"region"),
            ("tabindex", &"0"),
            ("aria-label", &sheet.title),
        ];
        section.element("div", &scroll, |scroll| {
            scroll.element("table", &[("class", &"comparison")], |table| {
                table.element("thead", &[], |head| {
                    head.element("tr", &[], |row| {
                        for (name, _) in &sheet.head {
                            row.leaf("th", &[("scope", &"col")], name);
                        }
                    });
                });
                table.element("tbody", &[], |body| {
                    for cells in &sheet.rows {
                        row(body, sheet, cells);
                    }
                });
            });
        });
    });
    main.line();
}

fn row(body: &mut Markup, sheet: &Sheet, cells: &[String]) {
    body.element("tr", &[], |row| {
        for ((_, align), cell) in sheet.head.iter().zip(cells) {
            match align {
                Align::Left => row.leaf("th", &[("scope", &"row")], cell),
                Align::Right => row.leaf("td", &[], cell),
            }
        }
    });
}
