//! One of the two charts of a picture: zones, limits, the points and what they are.

use super::crowd::{Area, Crowd};
use super::labels::{fitting, number, spread};
use super::palette;
use super::picture::{Lines, Plotted};
use super::scale::Scale;
use super::svg::{Anchor, Drawing, Stroke};

const SMALL: f64 = 15.0;
/// About the width of a letter of that size.
const LETTER: f64 = 9.6;
/// From a point to the middle of the words about it.
const BESIDE: f64 = 17.0;
const BETWEEN_LABELS: f64 = 17.0;
const RADIUS: f64 = 4.0;
const SIGNAL_RADIUS: f64 = 7.5;

/// How far beyond the control limits the axis goes, in widths between them, or beyond the middle half of the values where
/// there are none: a single wild value does not press all others into one line. It is told at the end of the axis.
const BEYOND: f64 = 1.5;

/// A place on a panel; `None` where a sample has none.
pub type Place<'a> = Option<&'a Plotted>;

/// What a panel shows.
pub struct Panel<'a> {
    pub frame: Area,
    /// To its right, for the names of its lines.
    pub room_beside: f64,
    pub name: String,
    /// One for each sample, oldest first, and whether it is excluded.
    pub places: Vec<(Place<'a>, bool)>,
    pub has_zones: bool,
    /// Names and values of lines that stand for all points.
    pub specification: Vec<(&'static str, f64)>,
    pub decimals: Option<u32>,
}

/// What of its signs a panel uses, for the legend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signs {
    pub signal: bool,
    pub acknowledged: bool,
    pub excluded: bool,
    pub unjudged: bool,
    pub beyond: bool,
}

impl Panel<'_> {
    /// Draws everything; says which signs it took.
    pub fn draw(&self, drawing: &mut Drawing) -> Signs {
        let scale = self.scale();
        let Area { left, right, top, bottom } = self.frame;
        drawing.rectangle((left, top), (right - left, bottom - top), palette::BACKGROUND);
        self.draw_limits(drawing, &scale);
        let frame = [(left, top), (right, top), (right, bottom), (left, bottom)];
        drawing.shape(&frame, "none", Stroke::solid(palette::FRAME, 1.0));
        self.draw_axis(drawing, &scale);
        self.draw_labels(drawing, &scale);
        self.draw_points(drawing, &scale)
    }

    /// The place of a sample from left to right.
    pub fn x(&self, index: usize) -> f64 {
        self.frame.left + (index as f64 + 0.5) * self.step()
    }

    fn step(&self) -> f64 {
        (self.frame.right - self.frame.left) / self.places.len().max(1) as f64
    }

    /// Those of the newest sample that counts.
    fn newest_lines(&self) -> Option<Lines> {
        let counted = self.places.iter().rev().find(|(place, is_excluded)| place.is_some() && !is_excluded);
        counted.and_then(|(place, _)| (*place)?.lines)
    }

    fn scale(&self) -> Scale {
        let plotted =
            || self.places.iter().filter_map(|(place, is_excluded)| Some((place.as_ref()?, *is_excluded)));
        let lines =
            plotted().filter_map(|(plotted, _)| plotted.lines).flat_map(|lines| [lines.lcl, lines.ucl]);
        let limits: Vec<f64> = lines.collect();
        let counted = plotted().filter(|(_, is_excluded)| !is_excluded);
        let values: Vec<f64> = counted.map(|(plotted, _)| plotted.value).collect();
        let (least, greatest) = if limits.is_empty() { middle_half(&values) } else { ends(&limits) };
        let beyond = (greatest - least) * BEYOND;
        let is_near = |value: &f64| beyond == 0.0 || (least - beyond..=greatest + beyond).contains(value);
        let wanted = self.specification.iter().map(|(_, value)| *value);
        let shown = limits.iter().copied().chain(values.iter().copied().chain(wanted).filter(is_near));
        let room = if self.has_zones { 26.0 } else { 18.0 };
        Scale::showing(shown, (self.frame.top + room, self.frame.bottom - 10.0))
    }

    /// Zones and limits, each as far as it judged.
    fn draw_limits(&self, drawing: &mut Drawing, scale: &Scale) {
        let mut from = 0;
        let lines_at = |index: usize| self.places[index].0.and_then(|plotted| plotted.lines);
        while from < self.places.len() {
            let lines = lines_at(from);
            let to = (from..self.places.len()).find(|index| lines_at(*index) != lines);
            let to = to.unwrap_or(self.places.len());
            if let Some(lines) = lines {
                let ends = (self.x(from) - self.step() / 2.0, self.x(to - 1) + self.step() / 2.0);
                self.draw_stretch(drawing, scale, lines, ends);
            }
            from = to;
        }
        for (_, value) in self.specification.iter().filter(|(_, value)| scale.shows(*value)) {
            let y = scale.place(*value);
            let stroke = Stroke::dashed(palette::SPECIFICATION, 1.5, "2 4");
            drawing.line(&[(self.frame.left, y), (self.frame.right, y)], stroke);
        }
    }

    fn draw_stretch(&self, drawing: &mut Drawing, scale: &Scale, lines: Lines, (left, right): (f64, f64)) {
        if self.has_zones {
            for (zone, colour) in (0..3).zip(palette::ZONES) {
                for side in [1.0, -1.0] {
                    let inner = scale.place(lines.at(side * f64::from(zone)));
                    let outer = scale.place(lines.at(side * f64::from(zone + 1)));
                    let (top, bottom) = (inner.min(outer), inner.max(outer));
                    drawing.rectangle((left, top), (right - left, bottom - top), colour);
                }
            }
        }
        for (value, stroke) in [
            (lines.ucl, Stroke::dashed(palette::CONTROL_LIMIT, 2.0, "8 4")),
            (lines.center_line, Stroke::solid(palette::CENTER_LINE, 1.5)),
            (lines.lcl, Stroke::dashed(palette::CONTROL_LIMIT, 2.0, "8 4")),
        ] {
            let y = scale.place(value);
            drawing.line(&[(left, y), (right, y)], stroke);
        }
    }

    fn draw_axis(&self, drawing: &mut Drawing, scale: &Scale) {
        let Area { left, top, bottom, .. } = self.frame;
        let (ticks, decimals) = scale.ticks(if bottom - top > 160.0 { 6 } else { 3 });
        for tick in ticks {
            let y = scale.place(tick);
            drawing.line(&[(left - 5.0, y), (left, y)], Stroke::solid(palette::FRAME, 1.0));
            // Rounding may leave a zero with a sign.
            let words = number(tick + 0.0, u32::try_from(decimals).ok());
            let size = fitting(&words, left - 12.0, SMALL);
            drawing.words((left - 9.0, y + 5.0), Anchor::End, (size, palette::FAINT_TEXT), &words);
        }
        drawing.words((left, top - 7.0), Anchor::Start, (SMALL, palette::TEXT), &self.name);
    }

    /// The newest limits, beside the last point.
    fn draw_labels(&self, drawing: &mut Drawing, scale: &Scale) {
        let mut labels: Vec<(f64, &str, f64, &str)> = Vec::new();
        if let Some(Lines { ucl, center_line, lcl }) = self.newest_lines() {
            labels.push((scale.place(ucl), "UCL", ucl, palette::CONTROL_LIMIT));
            labels.push((scale.place(center_line), "CL", center_line, palette::CENTER_LINE));
            labels.push((scale.place(lcl), "LCL", lcl, palette::CONTROL_LIMIT));
        }
        for (name, value) in self.specification.iter().filter(|(_, value)| scale.shows(*value)) {
            labels.push((scale.place(*value), name, *value, palette::SPECIFICATION));
        }
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut places: Vec<f64> = labels.iter().map(|label| label.0).collect();
        spread(&mut places, BETWEEN_LABELS, (self.frame.top + 6.0, self.frame.bottom));
        // Limits are means: one place more than values have.
        let decimals = self.decimals.map(|decimals| decimals + 1);
        for ((_, name, value, colour), y) in labels.into_iter().zip(places) {
            let words = format!("{name} {}", number(value, decimals));
            let size = fitting(&words, self.room_beside, SMALL);
            drawing.words((self.frame.right + 8.0, y + 5.0), Anchor::Start, (size, colour), &words);
        }
    }

    fn draw_points(&self, drawing: &mut Drawing, scale: &Scale) -> Signs {
        let place = |index: usize, plotted: &Plotted| (self.x(index), scale.place(plotted.value));
        let mut connected = Vec::new();
        for (index, (plotted, is_excluded)) in self.places.iter().enumerate() {
            match plotted {
                Some(plotted) if !is_excluded => connected.push(place(index, plotted)),
                Some(_) => {}
                None => {
                    drawing.line(&connected, Stroke::solid(palette::SERIES, 1.5));
                    connected.clear();
                }
            }
        }
        drawing.line(&connected, Stroke::solid(palette::SERIES, 1.5));

        let mut signs = Signs::default();
        let mut crowd = Crowd::new(self.frame);
        let mut words = Vec::new();
        for (index, (plotted, is_excluded)) in self.places.iter().enumerate() {
            let Some(plotted) = plotted else { continue };
            let at = place(index, plotted);
            self.draw_point(drawing, at, plotted, *is_excluded, &mut signs);
            let is_beyond = !scale.shows(plotted.value);
            let signals = !plotted.rule_ids.is_empty() && !is_excluded;
            if !is_beyond && !signals {
                continue;
            }
            signs.beyond |= is_beyond;
            let beyond = is_beyond.then(|| format!("▸{}", number(plotted.value, self.decimals)));
            let rules = signals.then(|| plotted.rules());
            let colour = if signals { palette::SIGNAL } else { palette::EXCLUDED };
            words.push((at, beyond.into_iter().chain(rules).collect::<Vec<_>>().join(" "), colour));
            crowd.take(Area::around(at, SIGNAL_RADIUS * 2.0, SIGNAL_RADIUS * 2.0));
        }
        // The newest first: it is what people look for.
        for ((x, y), words, colour) in words.into_iter().rev() {
            let width = LETTER * words.chars().count() as f64;
            let heights = [-BESIDE, BESIDE, -BESIDE * 1.8, BESIDE * 1.8];
            let beside = heights.map(|by| Area::around((x, y + by), width, SMALL));
            if let Some(room) = crowd.find_room(beside) {
                let at = ((room.left + room.right) / 2.0, room.bottom - 3.0);
                drawing.raised_words(at, (SMALL, colour, palette::BACKGROUND), &words);
            }
        }
        signs
    }

    fn draw_point(
        &self,
        drawing: &mut Drawing,
        (x, y): (f64, f64),
        plotted: &Plotted,
        is_excluded: bool,
        signs: &mut Signs,
    ) {
        if is_excluded {
            signs.excluded = true;
            cross(drawing, (x, y));
            return;
        }
        if !plotted.rule_ids.is_empty() {
            let (fill, sign) = if plotted.is_acknowledged {
                (palette::BACKGROUND, &mut signs.acknowledged)
            } else {
                (palette::SIGNAL, &mut signs.signal)
            };
            *sign = true;
            diamond(drawing, (x, y), fill);
        } else if plotted.is_judged {
            drawing.circle((x, y), RADIUS, palette::SERIES, Stroke::solid(palette::BACKGROUND, 0.5));
        } else {
            signs.unjudged = true;
            drawing.circle((x, y), RADIUS, palette::BACKGROUND, Stroke::solid(palette::SERIES, 1.5));
        }
    }
}

/// The sign of what does not count.
pub fn cross(drawing: &mut Drawing, (x, y): (f64, f64)) {
    let (r, stroke) = (RADIUS, Stroke::solid(palette::EXCLUDED, 2.0));
    drawing.line(&[(x - r, y - r), (x + r, y + r)], stroke);
    drawing.line(&[(x - r, y + r), (x + r, y - r)], stroke);
}

/// The sign of a signal.
pub fn diamond(drawing: &mut Drawing, (x, y): (f64, f64), fill: &str) {
    let r = SIGNAL_RADIUS;
    let corners = [(x, y - r), (x + r, y), (x, y + r), (x - r, y)];
    drawing.shape(&corners, fill, Stroke::solid(palette::SIGNAL, 2.0));
}

fn ends(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(*value), b.max(*value)))
}

/// Between which the middle half of the values lies, widened on both sides by as much. Nothing wide, where they are
/// mostly the same.
fn middle_half(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part) as usize];
    if sorted.is_empty() {
        return (0.0, 0.0);
    }
    let (lower, upper) = (at(0.25), at(0.75));
    let width = upper - lower;
    (lower - width, upper + width)
}
