//! The few elements of SVG that a chart needs. Places are in pixels of the drawing, from its upper left corner.

use std::fmt::{self, Display, Write as _};

/// A drawing that grows element by element, the later ones over the earlier.
pub struct Drawing {
    text: String,
}

/// Where a text begins, from its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stroke {
    pub colour: &'static str,
    pub width: f64,
    /// Lengths of dashes and gaps; empty: none.
    pub dashes: &'static str,
}

impl Stroke {
    pub const fn solid(colour: &'static str, width: f64) -> Self {
        Self { colour, width, dashes: "" }
    }

    pub const fn dashed(colour: &'static str, width: f64, dashes: &'static str) -> Self {
        Self { colour, width, dashes }
    }
}

impl Display for Stroke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"stroke="{}" stroke-width="{}""#, self.colour, self.width)?;
        if !self.dashes.is_empty() {
            write!(f, r#" stroke-dasharray="{}""#, self.dashes)?;
        }
        Ok(())
    }
}

impl Drawing {
    /// An empty one; `summary` is for those who cannot see it.
    pub fn new((width, height): (f64, f64), font: &str, summary: &str) -> Self {
        let text = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="{font}" role="img"><title>{}</title>"#,
            Escaped(summary)
        );
        Self { text }
    }

    pub fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str) {
        self.add(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{fill}"/>"#
        ));
    }

    /// Straight lines from place to place.
    pub fn line(&mut self, places: &[(f64, f64)], stroke: Stroke) {
        let Some((first, others)) = places.split_first().filter(|(_, others)| !others.is_empty()) else {
            return;
        };
        self.add(format_args!(r#"<path d="M{:.1} {:.1}"#, first.0, first.1));
        for (x, y) in others {
            self.add(format_args!("L{x:.1} {y:.1}"));
        }
        self.add(format_args!(r#"" fill="none" stroke-linejoin="round" {stroke}/>"#));
    }

    /// A closed shape around places.
    pub fn shape(&mut self, places: &[(f64, f64)], fill: &str, stroke: Stroke) {
        self.add(format_args!(r#"<path d=""#));
        for (index, (x, y)) in places.iter().enumerate() {
            self.add(format_args!("{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' }));
        }
        self.add(format_args!(r#"Z" fill="{fill}" {stroke}/>"#));
    }

    pub fn circle(&mut self, (x, y): (f64, f64), radius: f64, fill: &str, stroke: Stroke) {
        self.add(format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{fill}" {stroke}/>"#));
    }

    /// Words whose baseline is at a place.
    pub fn words(&mut self, (x, y): (f64, f64), anchor: Anchor, (size, colour): (f64, &str), words: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{}</text>"#,
            Escaped(words)
        ));
    }

    /// The same around a place, with a rim in another colour, to be read on whatever lies below.
    pub fn raised_words(&mut self, (x, y): (f64, f64), (size, colour, rim): (f64, &str, &str), words: &str) {
        self.add(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="middle" font-size="{size}" fill="{colour}" stroke="{rim}" stroke-width="3" paint-order="stroke">{}</text>"#,
            Escaped(words)
        ));
    }

    /// The whole document.
    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>");
        self.text
    }

    fn add(&mut self, what: fmt::Arguments<'_>) {
        self.text.write_fmt(what).expect("memory takes everything");
    }
}

/// A text that cannot be taken for anything else: names come from outside. What XML has no place for is replaced.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\t' => f.write_char(' ')?,
                // They would turn our own words round, too.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
                '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                    f.write_char(char::REPLACEMENT_CHARACTER)?;
                }
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_taken_for_markup() {
        assert_eq!(
            Escaped("<script>\"&'\u{0}\u{1b}\u{202e}\u{ffff}</script>").to_string(),
            "&lt;script&gt;&quot;&amp;'\u{fffd}\u{fffd}\u{fffd}&lt;/script&gt;"
        );
    }

    #[test]
    fn a_line_of_one_place_is_none() {
        let mut drawing = Drawing::new((10.0, 10.0), "serif", "nothing");
        drawing.line(&[(1.0, 1.0)], Stroke::solid("#000", 1.0));
        assert!(!drawing.finish().contains("<path"));
    }
}
