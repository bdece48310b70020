//! The whole picture: a title, the location chart, the dispersion chart below it, times, and a legend.

use super::crowd::Area;
use super::labels::{number, shortened, time};
use super::palette;
use super::panel::{Panel, Signs, cross, diamond};
use super::picture::ControlChart;
use super::svg::{Anchor, Drawing, Stroke};
use crate::domain::chart::{ChartKind, DispersionStatistic};

/// As wide as a phone shows it without making words too small to read.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 118.0;
/// To the right of the charts.
const BESIDE: f64 = WIDTH - RIGHT - 10.0;
/// From top to bottom of the two charts; without a dispersion chart the first has both places.
const LOCATION: (f64, f64) = (92.0, 350.0);
const DISPERSION: (f64, f64) = (390.0, 490.0);

const FONT: &str = "DejaVu Sans, Verdana, sans-serif";
const TITLE: f64 = 22.0;
const NORMAL: f64 = 15.0;
/// Letters that fit in a line of that size.
const TITLE_LETTERS: usize = 52;
const LINE_LETTERS: usize = 84;
/// Between the times below.
const BETWEEN_TIMES: f64 = 110.0;

impl ControlChart {
    /// The picture as an SVG document, 720 by 560.
    pub fn svg(&self) -> String {
        let mut drawing = Drawing::new((WIDTH, HEIGHT), FONT, &self.summary());
        drawing.rectangle((0.0, 0.0), (WIDTH, HEIGHT), palette::BACKGROUND);
        let title = shortened(&self.name, TITLE_LETTERS);
        drawing.words((20.0, 32.0), Anchor::Start, (TITLE, palette::TEXT), &title);
        let about = shortened(&self.about(), LINE_LETTERS);
        drawing.words((20.0, 56.0), Anchor::Start, (NORMAL, palette::FAINT_TEXT), &about);
        if self.points.is_empty() {
            let middle = (WIDTH / 2.0, HEIGHT / 2.0);
            drawing.words(middle, Anchor::Middle, (TITLE, palette::FAINT_TEXT), "no samples");
            return drawing.finish();
        }
        let has_dispersion = self.points.iter().any(|point| point.dispersion.is_some());
        let bottom = if has_dispersion { LOCATION.1 } else { DISPERSION.1 };
        let location = self.location((LOCATION.0, bottom));
        let mut signs = vec![location.draw(&mut drawing)];
        if has_dispersion {
            signs.push(self.dispersion().draw(&mut drawing));
        }
        self.draw_times(&mut drawing, &location);
        draw_legend(&mut drawing, &signs);
        drawing.finish()
    }

    /// In words what the picture shows.
    fn summary(&self) -> String {
        let newest = self.newest().map(|point| &point.location);
        let Some(newest) = newest else { return format!("Control chart of {}: no samples", self.name) };
        let told = |value: f64| number(value, self.decimals);
        let limits = newest.lines.map_or_else(
            || "without control limits".to_owned(),
            |lines| format!("control limits {} to {}", told(lines.lcl), told(lines.ucl)),
        );
        let signals = match newest.rule_ids.as_slice() {
            [] => String::new(),
            rules => {
                format!(", signals rule {}", rules.iter().map(u32::to_string).collect::<Vec<_>>().join(", "))
            }
        };
        let unit = self.unit.as_deref().map_or_else(String::new, |unit| format!(" {unit}"));
        let value = told(newest.value);
        format!("Control chart of {}: newest value {value}{unit}{signals}, {limits}", self.name)
    }

    fn about(&self) -> String {
        let charts = match self.kind {
            ChartKind::IMr => "individuals and moving range",
            ChartKind::XbarR => "means and ranges",
            ChartKind::XbarS => "means and standard deviations",
        };
        let unit = self.unit.as_deref().map_or_else(String::new, |unit| format!(" in {unit}"));
        let group = self.group.as_deref().map_or_else(String::new, |group| format!(" · {group}"));
        format!("{charts}{unit}{group}")
    }

    fn location(&self, (top, bottom): (f64, f64)) -> Panel<'_> {
        let is_individuals = self.kind == ChartKind::IMr;
        let Self { specification, .. } = self;
        // Means vary less than what they are means of: limits of measurements say nothing about them.
        let wanted = [("USL", specification.usl), ("LSL", specification.lsl)].into_iter();
        let wanted =
            wanted.filter(|_| is_individuals).filter_map(|(name, value)| Some((name, value?))).collect();
        Panel {
            frame: Area { left: LEFT, right: RIGHT, top, bottom },
            room_beside: BESIDE,
            name: if is_individuals { "individuals" } else { "means" }.to_owned(),
            places: self.points.iter().map(|point| (Some(&point.location), point.is_excluded)).collect(),
            has_zones: true,
            specification: wanted,
            decimals: self.decimals,
        }
    }

    fn dispersion(&self) -> Panel<'_> {
        let name = match self.kind.dispersion() {
            DispersionStatistic::Mr => "moving ranges",
            DispersionStatistic::R => "ranges",
            DispersionStatistic::S => "standard deviations",
        };
        Panel {
            frame: Area { left: LEFT, right: RIGHT, top: DISPERSION.0, bottom: DISPERSION.1 },
            room_beside: BESIDE,
            name: name.to_owned(),
            places: self.points.iter().map(|point| (point.dispersion.as_ref(), point.is_excluded)).collect(),
            has_zones: false,
            specification: Vec::new(),
            decimals: self.decimals,
        }
    }

    /// Times of some of the samples, as many as have room, the newest one included.
    fn draw_times(&self, drawing: &mut Drawing, panel: &Panel<'_>) {
        let times = self.points.iter().map(|point| point.timestamp);
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else { return };
        let most = ((RIGHT - LEFT) / BETWEEN_TIMES) as usize;
        let every = self.points.len().div_ceil(most).max(1);
        let newest = self.points.len() - 1;
        for index in (0..self.points.len()).filter(|index| (newest - index).is_multiple_of(every)) {
            let x = panel.x(index);
            let bottom = DISPERSION.1;
            drawing.line(&[(x, bottom), (x, bottom + 5.0)], Stroke::solid(palette::FRAME, 1.0));
            let words = time(self.points[index].timestamp, self.time_zone, (first, last));
            drawing.words((x, bottom + 21.0), Anchor::Middle, (NORMAL, palette::FAINT_TEXT), &words);
        }
        let until = last.with_timezone(&self.time_zone).format("%Y-%m-%d %H:%M:%S %:z");
        let words = format!("until {until}, {}", self.time_zone.name());
        let place = (RIGHT, DISPERSION.1 + 41.0);
        drawing.words(place, Anchor::End, (NORMAL, palette::FAINT_TEXT), &words);
    }
}

/// The signs that were used, and what they mean.
fn draw_legend(drawing: &mut Drawing, signs: &[Signs]) {
    let any = |is_used: fn(&Signs) -> bool| signs.iter().any(is_used);
    let y = HEIGHT - 9.0;
    let mut x = 28.0;
    let mut tell = |drawing: &mut Drawing, words: &str, sign: &dyn Fn(&mut Drawing, (f64, f64))| {
        sign(drawing, (x, y - 5.0));
        drawing.words((x + 13.0, y), Anchor::Start, (NORMAL, palette::FAINT_TEXT), words);
        x += 30.0 + 8.6 * words.len() as f64;
    };
    if any(|signs| signs.signal) {
        tell(drawing, "signal, rule", &|drawing, at| diamond(drawing, at, palette::SIGNAL));
    }
    if any(|signs| signs.acknowledged) {
        tell(drawing, "acknowledged", &|drawing, at| diamond(drawing, at, palette::BACKGROUND));
    }
    if any(|signs| signs.excluded) {
        tell(drawing, "excluded", &cross);
    }
    if any(|signs| signs.unjudged) {
        tell(drawing, "not judged", &|drawing, at| {
            drawing.circle(at, 4.0, palette::BACKGROUND, Stroke::solid(palette::SERIES, 1.5));
        });
    }
    if any(|signs| signs.beyond) {
        tell(drawing, "beyond the axis", &|drawing, at| {
            drawing.words((at.0, at.1 + 5.0), Anchor::Middle, (NORMAL, palette::SIGNAL), "▸");
        });
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use chrono_tz::Tz;
    use resvg::tiny_skia::Pixmap;

    use super::*;
    use crate::chart::png;
    use crate::chart::{Lines, Plotted, Point, Specification};

    const LINES: Lines = Lines { ucl: 13.0, center_line: 10.0, lcl: 7.0 };

    fn plotted(value: f64, rule_ids: &[u32]) -> Plotted {
        let rule_ids = rule_ids.to_vec();
        Plotted { value, lines: Some(LINES), is_judged: true, rule_ids, is_acknowledged: false }
    }

    /// One point an hour.
    fn chart(values: &[(f64, &[u32])]) -> ControlChart {
        let noon: DateTime<Utc> = "2026-07-01T12:00:00Z".parse().expect("a time");
        let point = |(hour, (value, rule_ids)): (i64, &(f64, &[u32]))| Point {
            timestamp: noon + TimeDelta::hours(hour),
            location: plotted(*value, rule_ids),
            dispersion: (hour > 0).then(|| plotted(value / 10.0, &[])),
            is_excluded: false,
        };
        ControlChart {
            name: "Bore <i>diameter</i> & more".to_owned(),
            group: Some("plant/line 4".to_owned()),
            kind: ChartKind::IMr,
            unit: Some("mm".to_owned()),
            decimals: Some(2),
            specification: Specification { usl: Some(16.0), lsl: None },
            points: (0..).zip(values).map(point).collect(),
            time_zone: Tz::Europe__Berlin,
        }
    }

    fn paint(chart: &ControlChart) -> Pixmap {
        let picture = png(&chart.svg(), 1).expect("painted");
        Pixmap::decode_png(&picture).expect("a PNG")
    }

    /// How many dots of a picture have a colour.
    fn dots(picture: &Pixmap, colour: &str) -> usize {
        let channel = |at: usize| u8::from_str_radix(&colour[at..at + 2], 16).expect("a colour");
        let due = (channel(1), channel(3), channel(5));
        picture.pixels().iter().filter(|dot| (dot.red(), dot.green(), dot.blue()) == due).count()
    }

    #[test]
    fn a_picture_tells_its_limits_its_signals_and_its_zone() {
        let svg = chart(&[(10.0, &[]), (11.0, &[]), (14.25, &[1, 5])]).svg();
        for words in [
            "Bore &lt;i&gt;diameter&lt;/i&gt; &amp; more",
            "individuals and moving range in mm · plant/line 4",
            ">UCL 13.000<",
            ">CL 10.000<",
            ">LCL 7.000<",
            ">USL 16.000<",
            ">1,5<",
            ">14:00<", // twelve in UTC
            "until 2026-07-01 16:00:00 +02:00, Europe/Berlin",
            "newest value 14.25 mm, signals rule 1, 5, control limits 7.00 to 13.00",
            ">signal, rule<",
        ] {
            assert!(svg.contains(words), "{words} in {svg}");
        }
        assert!(!svg.contains("<i>") && !svg.contains("acknowledged") && !svg.contains("excluded"));
    }

    #[test]
    fn what_is_painted_is_what_was_drawn() {
        let (calm, signalling) =
            (chart(&[(10.0, &[][..]); 5]), chart(&[(10.0, &[]), (14.0, &[1]), (10.0, &[])]));
        let (calm, signalling) = (paint(&calm), paint(&signalling));
        assert_eq!((calm.width(), calm.height()), (720, 560));
        assert_eq!(dots(&calm, palette::SIGNAL), 0);
        assert!(dots(&signalling, palette::SIGNAL) > 60, "a diamond and its legend");
        assert!(dots(&calm, palette::TEXT) > 100, "words are painted, with a font of our own");
        for zone in palette::ZONES {
            assert!(dots(&calm, zone) > 1_000, "zone {zone}");
        }
        let large = png(&chart(&[(10.0, &[])]).svg(), 2).expect("painted");
        assert_eq!(Pixmap::decode_png(&large).expect("a PNG").width(), 1_440);
    }

    #[test]
    fn an_answered_signal_is_hollow_and_an_excluded_point_is_crossed_out() {
        let mut chart = chart(&[(10.0, &[]), (14.0, &[1]), (14.0, &[1])]);
        chart.points[1].location.is_acknowledged = true;
        chart.points[2].is_excluded = true;
        let svg = chart.svg();
        assert!(svg.contains("newest value 14.00 mm, signals rule 1, control"), "the one that counts: {svg}");
        assert!(
            svg.contains(">acknowledged<") && svg.contains(">excluded<") && !svg.contains(">signal, rule<")
        );
    }

    #[test]
    fn a_wild_value_does_not_press_the_others_together() {
        let mut wild = chart(&[(10.0, &[]), (1e6, &[1]), (12.0, &[]), (11.0, &[]), (10.5, &[])]);
        let svg = wild.svg();
        assert!(svg.contains(">▸1000000.00 1<") && svg.contains(">beyond the axis<"), "{svg}");
        let zone_c = dots(&paint(&wild), palette::ZONES[0]);
        assert!(zone_c > 1_000, "the zones can still be seen: {zone_c}");
        // Without limits, the others say what is ordinary; nor does a point that does not count, or a far specification.
        wild.specification.usl = Some(99_999.0);
        for point in &mut wild.points {
            (point.location.lines, point.location.rule_ids) = (None, vec![]);
        }
        for is_excluded in [false, true] {
            wild.points[1].is_excluded = is_excluded;
            let svg = wild.svg();
            assert!(svg.contains(">▸1000000.00<") && svg.contains(">11.5<") && !svg.contains("USL"), "{svg}");
        }
    }

    #[test]
    fn the_newest_limits_are_those_of_the_newest_sample() {
        let mut chart = chart(&[(10.0, &[]), (11.0, &[])]);
        chart.points[1].location.lines = None;
        chart.points[1].dispersion = None;
        let svg = chart.svg();
        assert!(!svg.contains("UCL") && svg.contains("without control limits"), "{svg}");
    }

    #[test]
    fn long_numbers_are_written_smaller_rather_than_cut() {
        let mut chart = chart(&[(101_325.25, &[]), (101_325.75, &[])]);
        chart.decimals = Some(6);
        for point in &mut chart.points {
            point.location.lines = Some(Lines { ucl: 101_326.0, center_line: 101_325.5, lcl: 101_325.0 });
        }
        let svg = chart.svg();
        let label = svg.split("<text").find(|text| text.contains("UCL 101326.0000000")).expect("a label");
        let size =
            label.split("font-size=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a size");
        assert!(size.parse::<f64>().expect("a number") < 12.0, "{label}");
    }

    #[test]
    fn anything_can_be_drawn() {
        for values in
            [vec![], vec![0.0], vec![5.0; 200], vec![-1e150, 1e150], vec![1e-12, 2e-12], vec![5e-324]]
        {
            let points: Vec<(f64, &[u32])> = values.iter().map(|value| (*value, &[][..])).collect();
            let mut chart = chart(&points);
            for point in &mut chart.points {
                point.location.lines = None;
            }
            chart.specification = Specification { usl: Some(1.75e308), lsl: Some(-1e308) };
            chart.name = "🏭 \u{0}\u{202e}名前".repeat(40);
            chart.group = Some("x".repeat(500));
            let svg = chart.svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            paint(&chart);
        }
    }
}
