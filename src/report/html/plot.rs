//! The frame of a drawing: its picture with a name and a description in words,
//! its axes with units, and where a value lies in it.
//!
//! Owns axes; what is drawn between them is the caller's.

use std::fmt::Write as _;

use super::markup::{Attribute, Markup, Px};
use super::ticks::{Scale, labels};

/// A picture, its name, and in words what it shows.
pub(super) struct Picture<'a> {
    /// Unlike any other on the page; letters and hyphens.
    pub(super) id: &'a str,
    /// What it is called.
    pub(super) title: &'a str,
    /// What it shows, for whoever does not see it.
    pub(super) description: &'a str,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Picture<'_> {
    /// The figure: its heading, what it says in words, and the drawing in a
    /// container of its own that scrolls where the window is narrow.
    pub(super) fn draw(&self, out: &mut Markup, inside: impl FnOnce(&mut Markup)) {
        let (title, about) = (format!("{}-title", self.id), format!("{}-about", self.id));
        out.element("figure", &[("id", &self.id)], |figure| {
            figure.element("figcaption", &[], |caption| {
                caption.leaf("h3", &[], self.title);
                caption.leaf("p", &[], self.description);
            });
            let label = format!("{}: drawing", self.title);
            let scroll: [Attribute<'_>; 4] = [
                ("class", &"scroll"),
                ("role", &"region"),
                ("tabindex", &"0"),
                ("aria-label", &label),
            ];
            figure.element("div", &scroll, |scroll| {
                let view = format!("0 0 {} {}", Px(self.width), Px(self.height));
                let wide = if self.width > 700.0 {
                    "chart wide"
                } else {
                    "chart"
                };
                let attributes: [Attribute<'_>; 5] = [
                    ("class", &wide),
                    ("viewBox", &view),
                    ("role", &"img"),
                    ("aria-labelledby", &title),
                    ("aria-describedby", &about),
                ];
                scroll.element("svg", &attributes, |svg| {
                    svg.leaf("title", &[("id", &title)], self.title);
                    svg.leaf("desc", &[("id", &about)], self.description);
                    inside(svg);
                });
            });
        });
        out.line();
    }
}

/// A rectangle with two axes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) across: Scale,
    pub(super) up: Scale,
}

impl Panel {
    pub(super) fn x(&self, value: f64) -> f64 {
        self.left + self.across.place(value) * self.width
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        self.top + (1.0 - self.up.place(value)) * self.height
    }

    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Lines across, a label at each, and above them what they mean.
    pub(super) fn axis_up(&self, out: &mut Markup, name: &str) {
        let (left, right) = (Px(self.left), Px(self.right()));
        let mut lines = String::new();
        let ticks = self.up.ticks();
        for (tick, label) in ticks.iter().zip(labels(&ticks)) {
            let y = self.y(*tick);
            let _ = write!(lines, "M{left} {}H{right}", Px(y));
            words(out, "tick end", (self.left - 8.0, y + 4.0), &label);
        }
        out.void("path", &[("class", &"grid"), ("d", &lines)]);
        words(out, "axis", (self.left, self.top - 9.0), name);
    }

    /// Ticks below, a label at each, and under them what they mean.
    pub(super) fn axis_across(&self, out: &mut Markup, name: &str) {
        let bottom = self.bottom();
        let mut lines = format!("M{} {}H{}", Px(self.left), Px(bottom), Px(self.right()));
        let ticks = self.across.ticks();
        for (tick, label) in ticks.iter().zip(labels(&ticks)) {
            let x = self.x(*tick);
            let _ = write!(lines, "M{} {}v5", Px(x), Px(bottom));
            words(out, "tick middle", (x, bottom + 19.0), &label);
        }
        out.void("path", &[("class", &"base"), ("d", &lines)]);
        words(out, "axis end", (self.right(), bottom + 37.0), name);
    }

    /// The plain line at the foot, where a panel below has the ticks.
    pub(super) fn foot(&self, out: &mut Markup) {
        let line = format!(
            "M{} {}H{}",
            Px(self.left),
            Px(self.bottom()),
            Px(self.right())
        );
        out.void("path", &[("class", &"base"), ("d", &line)]);
    }
}

/// A cross around a point: something that never came.
pub(super) fn cross(x: f64, y: f64, size: f64) -> String {
    let (left, right, top, bottom) = (Px(x - size), Px(x + size), Px(y - size), Px(y + size));
    format!("M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}")
}

/// Words at a place in a drawing.
pub(super) fn words(out: &mut Markup, class: &str, (x, y): (f64, f64), text: &str) {
    out.leaf(
        "text",
        &[("class", &class), ("x", &Px(x)), ("y", &Px(y))],
        text,
    );
}
