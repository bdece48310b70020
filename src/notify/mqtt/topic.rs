//! Topics made out of a characteristic's place and name.

use std::str::FromStr;

use crate::protocol::episode::EpisodeView;

/// The longest that MQTT has.
const MOST_BYTES: usize = 65_535;

/// No topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Nothing, or too much.
    #[error("must have 1 to 65535 bytes")]
    Length,
    /// It would be a filter, or the broker's own.
    #[error("must not begin with $, and have none of +, # and control characters")]
    Character,
    /// It does not tell one characteristic from another.
    #[error("must have {{characteristic}} or {{key}}")]
    Same,
    /// It names what there is not.
    #[error("may name {{group}}, {{characteristic}} and {{key}} between braces, and nothing else")]
    Placeholder,
}

/// A topic with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group,
    Characteristic,
    Key,
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        if text.is_empty() || text.len() > MOST_BYTES {
            return Err(TopicError::Length);
        }
        if text.starts_with('$') || text.contains(|c: char| matches!(c, '+' | '#') || c.is_control()) {
            return Err(TopicError::Character);
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(TopicError::Placeholder)?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match name {
                "group" => Piece::Group,
                "characteristic" => Piece::Characteristic,
                "key" => Piece::Key,
                _ => return Err(TopicError::Placeholder),
            });
            rest = after;
        }
        if rest.contains('}') {
            return Err(TopicError::Placeholder);
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }
}

impl Topic {
    /// Whether it is another one for each characteristic.
    pub fn has_placeholders(&self) -> bool {
        self.0.iter().any(|piece| !matches!(piece, Piece::Text(_)))
    }

    /// Whether each characteristic has its own, and none an empty one.
    pub fn tells_apart(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Characteristic | Piece::Key))
    }

    /// As it stands, without placeholders.
    pub fn text(&self) -> String {
        let text = |piece: &Piece| if let Piece::Text(text) = piece { text.clone() } else { String::new() };
        self.0.iter().map(text).collect()
    }

    /// That of an episode's characteristic. What would be a filter, or another level, becomes `_`; a level without a name is
    /// left out.
    pub fn of(&self, episode: &EpisodeView) -> String {
        let id = episode.characteristic_id.to_string();
        let filled = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Group => plain(episode.group.as_deref().unwrap_or_default(), true),
            Piece::Characteristic => id.clone(),
            Piece::Key => plain(episode.characteristic_key.as_deref().unwrap_or(&id), false),
        });
        let topic: String = filled.collect();
        let begins_with_a_level =
            self.0.first().is_some_and(|it| matches!(it, Piece::Text(t) if t.starts_with('/')));
        let levels: Vec<_> = topic.split('/').filter(|level| !level.is_empty()).collect();
        let topic = format!("{}{}", if begins_with_a_level { "/" } else { "" }, levels.join("/"));
        topic[..topic.floor_char_boundary(MOST_BYTES)].trim_start_matches('$').to_owned()
    }
}

fn plain(name: &str, has_levels: bool) -> String {
    let is_special = |c: char| matches!(c, '+' | '#') || c.is_control() || (c == '/' && !has_levels);
    name.chars().map(|c| if is_special(c) { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::episode::EpisodeChange;
    use crate::notify::sample::sample_alert;

    fn of(topic: &str, group: Option<&str>, key: Option<&str>) -> String {
        let alert = sample_alert("d", "", EpisodeChange::Opened, "Bore");
        let mut episode = alert.notice.update.episode.clone();
        episode.group = group.map(str::to_owned);
        episode.characteristic_key = key.map(str::to_owned);
        topic.parse::<Topic>().expect("a topic").of(&episode)
    }

    #[test]
    fn a_topic_is_filled_with_what_a_characteristic_is_called() {
        let alarm = "andon/{group}/{characteristic}/alarm";
        assert_eq!(of(alarm, Some("plant/line4"), None), "andon/plant/line4/1/alarm");
        assert_eq!(of(alarm, None, None), "andon/1/alarm");
        assert_eq!(of("/spc/{key}", None, Some("P7/a+b#c")), "/spc/P7_a_b_c");
        assert_eq!(of("{key}", None, None), "1");
        assert_eq!(of("{key}", None, Some("$SYS/a")), "SYS_a", "that is the broker's own");
        assert_eq!(of("a/{group}", Some("plant/+/#"), None), "a/plant/_/_");
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        let read = |text: &str| text.parse::<Topic>().expect_err(text);
        assert_eq!(read(""), TopicError::Length);
        for bad in ["a/+/b", "a/#", "$SYS/a", "a\u{0}b"] {
            assert_eq!(read(bad), TopicError::Character);
        }
        for bad in ["{name}", "a/{group", "a}b"] {
            assert_eq!(read(bad), TopicError::Placeholder);
        }
    }
}
