//! Writing SVG.

use std::fmt::{Arguments, Write};

/// Characters of a tooltip at most: more is no tip.
const TITLE_MAX: usize = 300;

/// Width of a character per size of the font, in thousandths: a little more
/// than sans-serif fonts take on average, so that texts fit.
const WIDTH_PER_MILLE: i32 = 640;

/// Dark text.
pub(crate) const INK: &str = "#111827";
/// Text that is less important, dark enough on white.
pub(crate) const PALE_INK: &str = "#4b5563";
/// Lines that lead the eye.
pub(crate) const RULE: &str = "#d1d5db";
/// Faults and what is wrong.
pub(crate) const RED: &str = "#b91c1c";

/// Where a text is written.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A text in a picture.
pub(crate) struct Text<'a> {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) size: i32,
    pub(crate) anchor: Anchor,
    pub(crate) color: &'a str,
    pub(crate) is_bold: bool,
    pub(crate) words: &'a str,
}

impl<'a> Text<'a> {
    pub(crate) fn new(x: i32, y: i32, size: i32, words: &'a str) -> Self {
        Self {
            x,
            y,
            size,
            anchor: Anchor::Start,
            color: INK,
            is_bold: false,
            words,
        }
    }

    /// Returns the left, top, right and bottom border, about.
    fn place(&self) -> [i32; 4] {
        let width = width(self.words, self.size);
        let left = match self.anchor {
            Anchor::Start => self.x,
            Anchor::Middle => self.x - width / 2,
            Anchor::End => self.x - width,
        };
        [left, self.y - self.size, left + width, self.y + 2]
    }
}

/// Texts at most whose places are compared: nobody reads more, and each is
/// compared with all.
const TEXTS_MAX: usize = 2_000;

/// What is written already, so that nothing is written over it.
#[derive(Default)]
pub(crate) struct Written(Vec<[i32; 4]>);

impl Written {
    /// Marks the place of a text as taken.
    pub(crate) fn take(&mut self, text: &Text<'_>) {
        self.0.push(text.place());
    }

    /// Marks the place of a text as taken, if nothing is there; says whether
    /// nothing was.
    pub(crate) fn take_if_free(&mut self, text: &Text<'_>) -> bool {
        let [left, top, right, bottom] = text.place();
        let is_beside =
            |[l, t, r, b]: &[i32; 4]| right < *l || *r < left || bottom < *t || *b < top;
        let is_free = self.0.len() < TEXTS_MAX && self.0.iter().all(is_beside);
        if is_free {
            self.take(text);
        }
        is_free
    }
}

/// A picture under way.
#[derive(Default)]
pub(crate) struct Svg {
    body: String,
}

impl Svg {
    /// Writes some elements.
    pub(crate) fn put(&mut self, elements: Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(elements);
        self.body.push('\n');
    }

    /// Writes a text; a halo keeps it legible on lines.
    pub(crate) fn text(&mut self, text: &Text<'_>) {
        let anchor = match text.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if text.is_bold {
            " font-weight=\"bold\""
        } else {
            ""
        };
        self.put(format_args!(
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\" text-anchor=\"{anchor}\" fill=\"{}\"{weight} \
             stroke=\"#ffffff\" stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
            text.x,
            text.y,
            text.size,
            text.color,
            escaped(text.words),
        ));
    }

    /// Begins a group that has a tooltip.
    pub(crate) fn open(&mut self, title: &str) {
        self.put(format_args!(
            "<g><title>{}</title>",
            escaped(&shortened(title, TITLE_MAX))
        ));
    }

    /// Ends a group.
    pub(crate) fn close(&mut self) {
        self.put(format_args!("</g>"));
    }

    /// Returns the whole document.
    pub(crate) fn finish(self, width: i32, height: i32) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\">\n\
             <defs>\n{}{}</defs>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}</svg>\n",
            arrow("arrow", PALE_INK),
            arrow("fault-arrow", RED),
            self.body,
        )
    }
}

fn arrow(id: &str, color: &str) -> String {
    format!(
        "<marker id=\"{id}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 Z\" fill=\"{color}\"/></marker>\n"
    )
}

/// Returns how wide a text is, about.
pub(crate) fn width(text: &str, size: i32) -> i32 {
    let count = i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 100_000);
    count * size * WIDTH_PER_MILLE / 1_000
}

/// Cuts a text to so many characters, with a sign that it is cut.
pub(crate) fn shortened(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(characters.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Writes a text so that it can stand in XML. Characters that XML does not have
/// are replaced.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' | '\r' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_break_out() {
        assert_eq!(
            escaped("<a href=\"x\">&'\u{0}\u{ffff}\n"),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{fffd}\u{fffd} "
        );
    }

    #[test]
    fn long_texts_are_cut_visibly() {
        assert_eq!(shortened("árvíztűrő", 9), "árvíztűrő");
        assert_eq!(shortened("árvíztűrő", 5), "árví…");
        assert_eq!(shortened("ab", 0), "…");
    }
}
