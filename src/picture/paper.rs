//! SVG as text: elements with attributes, and text of others that steers nothing in them.

use std::fmt::Write as _;

use crate::input::text;

/// An SVG that is being written.
#[derive(Debug, Default)]
pub(super) struct Paper {
    text: String,
}

impl Paper {
    /// Writes what is part of the picture as it stands.
    pub(super) fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Draws a rectangle of a class, which says what it is to whoever points at it.
    pub(super) fn bar(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), says: &str) {
        let says = escaped(says);
        let _ = writeln!(
            self.text,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{says}</title></rect>"
        );
    }

    /// Draws a line of a class.
    pub(super) fn line(&mut self, class: &str, (x, y): (f64, f64), (to_x, to_y): (f64, f64)) {
        let _ = writeln!(
            self.text,
            "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{to_x:.1}\" y2=\"{to_y:.1}\"/>"
        );
    }

    /// Writes text of a class.
    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        let text = escaped(text);
        let _ = writeln!(self.text, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
    }

    /// Hands the text over.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// Clean text in which nothing is markup.
pub(super) fn escaped(text: &str) -> String {
    text::clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
