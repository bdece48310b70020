//! Times of the week: shifts, as people there read their clocks.
//!
//! A window that ends before it begins goes over midnight and belongs to the day on which it begins. Where clocks are put
//! back, the hour that comes twice is in a window both times; where they are put forward, the hour that is missing is in none.

use chrono::{DateTime, Datelike as _, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;
use serde::Deserialize;

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the days of the week")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Mon,
            Self::Tue => Weekday::Tue,
            Self::Wed => Weekday::Wed,
            Self::Thu => Weekday::Thu,
            Self::Fri => Weekday::Fri,
            Self::Sat => Weekday::Sat,
            Self::Sun => Weekday::Sun,
        }
    }
}

/// From one time to another on some days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WindowSettings {
    /// On which days it begins; none: on every day.
    pub days: Vec<Day>,
    /// `06:00`; left out: midnight.
    pub from: Option<String>,
    /// `14:00`, which is no longer in it; left out: midnight.
    pub to: Option<String>,
}

/// A window, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    days: Vec<Weekday>,
    from: NaiveTime,
    to: NaiveTime,
}

/// No time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time of day such as 06:00")]
pub struct NoTime(String);

impl Window {
    /// What a setting means.
    ///
    /// # Errors
    /// [`NoTime`].
    pub fn new(settings: &WindowSettings) -> Result<Self, NoTime> {
        let time = |text: &Option<String>| match text {
            None => Ok(NaiveTime::MIN),
            Some(text) => NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| NoTime(text.clone())),
        };
        let days = settings.days.iter().map(|day| day.weekday()).collect();
        Ok(Self { days, from: time(&settings.from)?, to: time(&settings.to)? })
    }

    /// Whether a moment is in it, where clocks show the time of this zone.
    pub fn contains(&self, at: DateTime<Utc>, zone: Tz) -> bool {
        let there = at.with_timezone(&zone);
        let (time, day) = (there.time(), there.weekday());
        let is_on = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        if self.from < self.to {
            return is_on(day) && (self.from..self.to).contains(&time);
        }
        // It goes over midnight, or around the clock.
        (is_on(day) && time >= self.from) || (is_on(day.pred()) && time < self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Day], from: &str, to: &str) -> Window {
        let time = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Window::new(&WindowSettings { days: days.to_vec(), from: time(from), to: time(to) }).expect("times")
    }

    fn contains(window: &Window, at: &str) -> bool {
        window.contains(at.parse().expect("a time"), Tz::Europe__Berlin)
    }

    #[test]
    fn a_shift_is_at_the_time_of_its_place() {
        let early = window(&[Day::Mon, Day::Tue], "06:00", "14:00");
        assert!(contains(&early, "2026-01-05T05:00:00Z"), "Monday, 06:00 in winter");
        assert!(!contains(&early, "2026-01-05T04:59:59Z"));
        assert!(!contains(&early, "2026-01-05T13:00:00Z"), "14:00 is the next shift's");
        assert!(!contains(&early, "2026-01-07T08:00:00Z"), "Wednesday");
        assert!(contains(&early, "2026-07-06T04:00:00Z"), "Monday, 06:00 in summer");
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night = window(&[Day::Fri], "22:00", "06:00");
        assert!(contains(&night, "2026-01-09T21:00:00Z"), "Friday, 22:00");
        assert!(contains(&night, "2026-01-10T04:59:00Z"), "Saturday, 05:59");
        assert!(!contains(&night, "2026-01-10T21:00:00Z"), "Saturday, 22:00");
        assert!(!contains(&night, "2026-01-09T04:00:00Z"), "Friday, 05:00");
        let weekend = window(&[Day::Sat, Day::Sun], "", "");
        assert!(contains(&weekend, "2026-01-10T00:00:00Z") && contains(&weekend, "2026-01-11T22:59:00Z"));
        assert!(!contains(&weekend, "2026-01-11T23:00:00Z"), "Monday, 00:00");
        assert!(contains(&window(&[], "", ""), "2026-01-07T12:00:00Z"), "always");
    }

    #[test]
    fn the_hour_that_comes_twice_is_in_it_both_times_and_the_missing_one_never() {
        let doubled = window(&[], "02:00", "03:00");
        assert!(contains(&doubled, "2026-10-25T00:30:00Z") && contains(&doubled, "2026-10-25T01:30:00Z"));
        assert!(!contains(&doubled, "2026-03-29T00:59:00Z") && !contains(&doubled, "2026-03-29T01:00:00Z"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in ["6", "25:00", "06:00:00", "noon"] {
            let settings = WindowSettings { from: Some(bad.to_owned()), ..WindowSettings::default() };
            assert_eq!(Window::new(&settings), Err(NoTime(bad.to_owned())));
        }
    }
}
