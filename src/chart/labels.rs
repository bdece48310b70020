//! Words beside and below a chart: numbers, times, and places where they do not cover each other.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

/// Without decimals of its own, a value is told to about so many digits.
const DIGITS: i32 = 6;

/// The width of a digit, in its size.
const LETTER: f64 = 0.64;

/// Beyond these, a number is told with its power of ten.
const PLAIN: std::ops::Range<f64> = 1e-4..1e9;

/// A value as people write it: with `decimals` places, or as many as tell something. With its power of ten, where that
/// many places would say nothing of it.
pub fn number(value: f64, decimals: Option<u32>) -> String {
    let size = value.abs();
    let is_told =
        decimals.is_some_and(|decimals| size >= 0.1f64.powi(decimals.min(300) as i32) && size < PLAIN.end);
    if size != 0.0 && !is_told && !PLAIN.contains(&size) {
        return format!("{value:.4e}");
    }
    if let Some(decimals) = decimals {
        return format!("{value:.*}", decimals as usize);
    }
    let whole = if size < 1.0 { 0 } else { size.log10().floor() as i32 + 1 };
    let text = format!("{value:.*}", (DIGITS - whole).max(0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The first letters of a text, so many at most, and a sign where it goes on.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A time as short as the range of all times allows.
pub fn time(at: DateTime<Utc>, zone: Tz, (first, last): (DateTime<Utc>, DateTime<Utc>)) -> String {
    let at = at.with_timezone(&zone);
    let is_one_day = first.with_timezone(&zone).date_naive() == last.with_timezone(&zone).date_naive();
    let is_short = last - first < chrono::TimeDelta::minutes(5);
    let format = match (is_one_day, is_short) {
        (_, true) => "%H:%M:%S",
        (true, false) => "%H:%M",
        (false, false) if last - first < chrono::TimeDelta::days(300) => "%m-%d %H:%M",
        (false, false) => "%Y-%m-%d",
    };
    at.format(format).to_string()
}

/// A size at which words fit into so much room, `most` if they do so at that.
pub fn fitting(words: &str, room: f64, most: f64) -> f64 {
    (room / (LETTER * words.chars().count().max(1) as f64)).min(most)
}

/// Moves places apart that are closer than `gap`, as little as needed, between `top` and `bottom`; they come in order.
pub fn spread(places: &mut [f64], gap: f64, (top, bottom): (f64, f64)) {
    let mut least = top;
    for place in places.iter_mut() {
        *place = place.max(least);
        least = *place + gap;
    }
    let mut greatest = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(greatest);
        greatest = *place - gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_what_matters() {
        assert_eq!(number(74.035_4, Some(3)), "74.035");
        assert_eq!(number(10.0, None), "10");
        assert_eq!(number(74.001_176, None), "74.0012");
        assert_eq!(number(0.012_345_678, None), "0.012346");
        assert_eq!(number(1_234_567.0, None), "1234567");
        assert_eq!(number(1e12, Some(2)), "1.0000e12");
        assert_eq!(number(-3.2e-7, None), "-3.2000e-7");
        assert_eq!(number(0.0, None), "0");
        assert_eq!((number(5e-5, Some(5)), number(5e-6, Some(5))), ("0.00005".into(), "5.0000e-6".into()));
    }

    #[test]
    fn a_long_name_says_that_it_goes_on() {
        assert_eq!(shortened("Bore", 4), "Bore");
        assert_eq!(shortened("Größe der Bohrung", 6), "Größe…");
    }

    #[test]
    fn times_stand_in_their_zone_and_are_as_short_as_can_be() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let zone: Tz = "Europe/Berlin".parse().expect("a zone");
        let told = |first: &str, last: &str| time(at(first), zone, (at(first), at(last)));
        assert_eq!(told("2026-07-01T10:00:00Z", "2026-07-01T10:00:30Z"), "12:00:00");
        assert_eq!(told("2026-07-01T10:00:00Z", "2026-07-01T18:00:00Z"), "12:00");
        // In Berlin it is the next day already.
        assert_eq!(told("2026-07-01T10:00:00Z", "2026-07-01T22:30:00Z"), "07-01 12:00");
        assert_eq!(told("2025-01-01T10:00:00Z", "2026-07-01T22:30:00Z"), "2025-01-01");
    }

    #[test]
    fn places_move_apart_and_stay_within() {
        let mut places = [10.0, 11.0, 50.0, 99.0, 100.0];
        spread(&mut places, 10.0, (5.0, 100.0));
        assert_eq!(places, [10.0, 20.0, 50.0, 90.0, 100.0]);
        let mut crowded = [50.0; 3];
        spread(&mut crowded, 10.0, (0.0, 60.0));
        assert_eq!(crowded, [40.0, 50.0, 60.0]);
    }
}
