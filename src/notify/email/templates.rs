//! What a mail says: three templates, and what they may name.
//!
//! They are compiled and tried on every kind of notice when Andon starts, with all that a notice may have and with none of
//! it. One of somebody's own that stumbles over an alert all the same gives way to Andon's. What comes from outside is
//! escaped in HTML, and stays in its line in a subject.

use std::path::{Path, PathBuf};
use std::{fs, io};

use minijinja::{Environment, UndefinedBehavior, Value, context};
use tracing::warn;

use crate::domain::episode::EpisodeChange;
use crate::notify::notifier::{Alert, Part};
use crate::notify::sample::sample_alert;
use crate::notify::wording::{headline, line, precisely, severity, value};
use crate::protocol::payload::ViolationView;
use crate::site;

/// Each template's name, and Andon's own.
const TEMPLATES: [(&str, &str); 3] = [
    ("subject.txt", include_str!("templates/subject.txt")),
    ("body.txt", include_str!("templates/body.txt")),
    ("body.html", include_str!("templates/body.html")),
];

/// A subject's length, at most: more is not shown anywhere.
const SUBJECT_CHARS: usize = 200;

/// Templates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file cannot be read.
    #[error("the template {} cannot be read: {kind}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        kind: io::ErrorKind,
    },
    /// It does not compile, or cannot write a mail.
    #[error("the template {name} cannot be used: {problem}")]
    Template {
        /// Which.
        name: &'static str,
        /// What is wrong, with the line.
        problem: String,
    },
}

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The chart of a mail, where one is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chart<'a> {
    /// None is wanted.
    Unwanted,
    /// It could not be had.
    Missing,
    /// The part of the mail that it is.
    Part(&'a str),
}

/// The templates of a receiver.
#[derive(Debug)]
pub struct Templates {
    theirs: Environment<'static>,
    /// For an alert over which theirs stumble.
    own: Environment<'static>,
    site: site::Settings,
}

impl Templates {
    /// Those of a folder, and Andon's own for those that are not there.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn new(folder: Option<&Path>, site: site::Settings) -> Result<Self, TemplateError> {
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(TemplateError::File { path: folder.to_owned(), kind: io::ErrorKind::NotADirectory });
        }
        let templates = Self { theirs: compiled(folder)?, own: compiled(None)?, site };
        for change in EpisodeChange::ALL {
            let whole = sample_alert("test", "", change, "Bore");
            for alert in [bare(&whole), with_others(&whole), whole] {
                for chart in [Chart::Unwanted, Chart::Missing, Chart::Part("chart")] {
                    let names = templates.names(&alert, chart);
                    written(&templates.own, &names)?;
                    written(&templates.theirs, &names)?;
                }
            }
        }
        Ok(templates)
    }

    /// What a mail about an alert says.
    pub fn say(&self, alert: &Alert, chart: Chart<'_>) -> Said {
        let names = self.names(alert, chart);
        written(&self.theirs, &names).unwrap_or_else(|error| {
            warn!(error = %error, delivery.id = alert.delivery_id, "a template stumbles over an alert, Andon's own is used");
            written(&self.own, &names).expect("they were tried, and name nothing that may be missing")
        })
    }

    /// What templates may name: text unless said otherwise, empty where there is none. `docs/NOTIFIERS.md` tells of each.
    fn names(&self, alert: &Alert, chart: Chart<'_>) -> Value {
        let notice = &*alert.notice;
        let (change, episode) = (notice.update.change, &notice.update.episode);
        let violation = notice.violation.as_ref();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let time = |time: Option<_>| time.map(|it| self.site.time(it)).unwrap_or_default();
        let limit = |number: fn(&ViolationView) -> Option<f64>| {
            violation.and_then(|it| Some(precisely(number(it)?, it.decimals))).unwrap_or_default()
        };
        let rules: Vec<_> = episode.rules.iter().map(|rule| rule.rule_name.clone()).collect();
        let began = notice.pattern_began_at.filter(|at| violation.is_none_or(|it| it.timestamp != *at));
        let url = self.site.public_url.as_ref();
        context! {
            change => change.as_str(),
            severity => severity(notice),
            headline => headline(alert),
            reminder => alert.reminder, // a number
            others => alert.others.iter().map(|it| self.other(it)).collect::<Vec<_>>(), // a list
            characteristic => episode.characteristic_name.clone(),
            key => text(&episode.characteristic_key),
            group => text(&episode.group),
            rule => violation.map(|it| it.rule_name.clone()).unwrap_or_default(),
            message => violation.map(|it| it.message.clone()).unwrap_or_default(),
            value => violation.and_then(value).unwrap_or_default(),
            ucl => limit(|it| it.ucl),
            center_line => limit(|it| it.center_line),
            lcl => limit(|it| it.lcl),
            measured_at => time(violation.map(|it| it.timestamp)),
            began_at => time(began),
            episode_id => episode.id.get(), // a number
            violations => episode.violation_total, // a number
            rules, // a list
            opened_at => self.site.time(episode.opened_at),
            closed_at => time(episode.closed_at),
            ack_user => text(&episode.ack_user),
            ack_reason => text(&episode.ack_reason),
            ack_comment => text(&episode.ack_comment),
            ack_at => time(episode.ack_timestamp),
            reaction_plan => text(&notice.reaction_plan),
            chart_url => url.map(|url| url.chart(episode.characteristic_id)).unwrap_or_default(),
            episode_url => url.map(|url| url.episode(episode.id)).unwrap_or_default(),
            has_chart => matches!(chart, Chart::Part(_)), // yes or no
            chart_is_missing => chart == Chart::Missing, // yes or no
            chart_cid => if let Chart::Part(cid) = chart { cid } else { "" },
            delivery_id => alert.delivery_id.clone(),
        }
    }

    /// What templates may name of something that is told in the same mail.
    fn other(&self, part: &Part) -> Value {
        let notice = &*part.notice;
        let episode = &notice.update.episode;
        let url = self.site.public_url.as_ref();
        context! {
            change => notice.update.change.as_str(),
            severity => severity(notice),
            headline => line(notice, part.reminder),
            characteristic => episode.characteristic_name.clone(),
            at => self.site.time(notice.update.timestamp),
            episode_id => episode.id.get(), // a number
            episode_url => url.map(|url| url.episode(episode.id)).unwrap_or_default(),
        }
    }
}

/// Those of a folder, and Andon's own for those that are not there.
fn compiled(folder: Option<&Path>) -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, own) in TEMPLATES {
        let source = match folder {
            Some(folder) => read(&folder.join(name))?.unwrap_or_else(|| own.to_owned()),
            None => own.to_owned(),
        };
        environment.add_template_owned(name, source).map_err(|error| problem(name, &error))?;
    }
    Ok(environment)
}

fn written(environment: &Environment<'_>, names: &Value) -> Result<Said, TemplateError> {
    let write = |name: &'static str| {
        let template = environment.get_template(name);
        template.and_then(|it| it.render(names.clone())).map_err(|error| problem(name, &error))
    };
    Ok(Said {
        subject: in_a_line(&write("subject.txt")?),
        text: write("body.txt")?,
        html: write("body.html")?,
    })
}

/// The same without anything that it may lack.
fn bare(alert: &Alert) -> Alert {
    let mut notice = (*alert.notice).clone();
    (notice.violation, notice.pattern_began_at, notice.reaction_plan) = (None, None, None);
    let episode = &mut notice.update.episode;
    (episode.group, episode.characteristic_key, episode.ack_comment) = (None, None, None);
    Alert { notice: notice.into(), ..alert.clone() }
}

/// The same with all that it may have.
fn with_others(alert: &Alert) -> Alert {
    let part = |change| Part { reminder: 0, notice: sample_alert("test", "", change, "Width").notice };
    let others = EpisodeChange::ALL.map(part);
    Alert { reminder: 1, others: others.into(), ..alert.clone() }
}

/// `None`: there is none of that name.
fn read(path: &Path) -> Result<Option<String>, TemplateError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TemplateError::File { path: path.to_owned(), kind: error.kind() }),
    }
}

fn problem(name: &'static str, error: &minijinja::Error) -> TemplateError {
    TemplateError::Template { name, problem: error.to_string() }
}

/// A header is one line, whatever stands in a name.
fn in_a_line(text: &str) -> String {
    let words: Vec<_> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    line.chars().take(SUBJECT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::write;

    use chrono_tz::Tz;
    use tempfile::TempDir;

    use super::*;

    fn own() -> Templates {
        let site = site::Settings {
            time_zone: Tz::Europe__Berlin,
            public_url: Some("https://spc.example.com/".to_owned().try_into().expect("an address")),
        };
        Templates::new(None, site).expect("Andon's own can be used")
    }

    #[test]
    fn subjects_sort_and_tell_the_news() {
        for (change, subject) in [
            (EpisodeChange::Opened, "[CRITICAL] Bore: Outlier, 74.035 mm"),
            (EpisodeChange::Worsened, "[CRITICAL] Bore: Outlier, 74.035 mm"),
            (EpisodeChange::Lapsed, "[CRITICAL] Bore: Outlier, 74.035 mm"),
            (EpisodeChange::Acknowledged, "[ACKNOWLEDGED] Bore: by ann, Tool Change"),
            (EpisodeChange::Closed, "[CLOSED] Bore: Outlier, 74.035 mm"),
        ] {
            let said = own().say(&sample_alert("d", "", change, "Bore"), Chart::Unwanted);
            assert_eq!(said.subject, subject);
        }
    }

    #[test]
    fn both_bodies_tell_rule_value_limits_times_plan_and_links() {
        let alert = sample_alert("d-7", "", EpisodeChange::Opened, "Bore");
        let said = own().say(&alert, Chart::Part("c"));
        for body in [said.text, said.html.replace("&#x2f;", "/")] {
            for expected in [
                "Outlier: 1 point beyond the control limits",
                "74.035 mm, 2026-01-05 09:00:00 CET",
                "73.988 to 74.015, center line 74.001",
                "Stop the press",
                "https://spc.example.com/characteristics/1",
                "plant/line4",
                "d-7",
            ] {
                assert!(body.contains(expected), "{expected} in {body}");
            }
        }
        let html = own().say(&alert, Chart::Part("c")).html;
        assert!(html.contains("src=\"cid:c\""), "{html}");
    }

    #[test]
    fn what_else_a_mail_tells_is_in_both_bodies_and_counted_in_the_subject() {
        let said =
            own().say(&with_others(&sample_alert("d", "", EpisodeChange::Opened, "Bore")), Chart::Unwanted);
        assert_eq!(said.subject, "[CRITICAL] Bore: Outlier, 74.035 mm (reminder 1), and 5 more");
        for body in [said.text, said.html] {
            for expected in ["Width: acknowledged by ann, Tool Change", "2026-01-05 10:30:00 CET"] {
                assert!(body.contains(expected), "{expected} in {body}");
            }
        }
    }

    #[test]
    fn what_comes_from_outside_stays_text() {
        let name = "Bore <img src=x onerror=alert(1)>\r\nBcc: all@example.com";
        let said = own().say(&sample_alert("d", "", EpisodeChange::Opened, name), Chart::Unwanted);
        assert!(!said.html.contains("<img"), "{}", said.html);
        assert_eq!(said.subject.lines().count(), 1, "{}", said.subject);
        let long =
            own().say(&sample_alert("d", "", EpisodeChange::Opened, &"é".repeat(500)), Chart::Unwanted);
        assert_eq!(long.subject.chars().count(), SUBJECT_CHARS);
    }

    #[test]
    fn templates_of_ones_own_are_tried_at_once() {
        let folder = TempDir::new().expect("a folder");
        let read = || Templates::new(Some(folder.path()), site::Settings::default());
        write(folder.path().join("subject.txt"), "{{ severity }} {{ characteristic }}").expect("written");
        let said = read()
            .expect("usable")
            .say(&sample_alert("d", "", EpisodeChange::Opened, "Bore"), Chart::Unwanted);
        assert_eq!(said.subject, "CRITICAL Bore");
        for bad in ["{% if %}", "{{ severty }}", "{{ rules.nobody.there }}"] {
            write(folder.path().join("subject.txt"), bad).expect("written");
            let told = read().expect_err(bad).to_string();
            assert!(told.starts_with("the template subject.txt cannot be used: "), "{told}");
        }
        let nowhere = Templates::new(Some(&folder.path().join("nowhere")), site::Settings::default());
        assert!(nowhere.expect_err("no folder").to_string().contains("nowhere cannot be read"));
    }
}
