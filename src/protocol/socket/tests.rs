//! What is understood, what is refused, and what can be read back.

use super::*;
use crate::domain::ids::CharacteristicId;
use crate::domain::rules::Severity;
use crate::protocol::event::EventKind;

fn id(id: i64) -> CharacteristicId {
    CharacteristicId::try_from(id).expect("positive")
}

fn code(text: &str) -> Option<ErrorCode> {
    ClientMessage::parse(text).err().map(|r| r.code)
}

#[test]
fn older_clients_say_action_and_a_single_id() {
    let these = Ok(ClientMessage::Subscribe(Subscription::these(vec![id(7)])));
    assert_eq!(ClientMessage::parse(r#"{"type":"subscribe","characteristic_ids":[7]}"#), these);
    assert_eq!(ClientMessage::parse(r#"{"action":"subscribe","characteristic_id":7}"#), these);
}

#[test]
fn characteristics_are_named_by_id_by_key_or_by_both() {
    let keyed = |message| Ok(ClientMessage::ByKey(Box::new(message), vec!["k".to_owned()]));
    let parse = |fields: &str| {
        ClientMessage::parse(&format!(r#"{{"type":"subscribe","characteristic_keys":["k"]{fields}}}"#))
    };
    let these = |ids| ClientMessage::Subscribe(Subscription::these(ids));
    assert_eq!(parse(""), keyed(these(vec![])));
    assert_eq!(parse(r#","characteristic_ids":[7]"#), keyed(these(vec![id(7)])));
    assert!(parse(r#","all":true"#).is_err());
    let leave = ClientMessage::parse(r#"{"type":"unsubscribe","characteristic_keys":["k"]}"#);
    assert_eq!(leave, keyed(ClientMessage::Unsubscribe(Unsubscription::default())));
    assert_eq!(these(vec![id(1)]).with(vec![id(2)]), these(vec![id(1), id(2)]));
}

#[test]
fn what_is_not_understood_is_named() {
    assert_eq!(code("{"), Some(ErrorCode::InvalidJson));
    assert_eq!(code("[1]"), Some(ErrorCode::InvalidJson));
    assert_eq!(code("7"), Some(ErrorCode::InvalidJson));
    assert_eq!(code("{}"), Some(ErrorCode::UnknownType));
    assert_eq!(code(r#"{"type":"dance"}"#), Some(ErrorCode::UnknownType));
    assert_eq!(code(r#"{"type":7}"#), Some(ErrorCode::InvalidField));
    assert_eq!(code(r#"{"type":"subscribe"}"#), Some(ErrorCode::InvalidField));
    assert_eq!(code(r#"{"type":"ping","type":"ping"}"#), Some(ErrorCode::InvalidField));
}

#[test]
fn everything_that_a_subscription_can_say_is_read() {
    let text = r#"{"type":"subscribe","characteristic_ids":[1],"groups":["plant/line4"],"snapshot":true,
        "since":{"epoch":"e1","seq":7},"history":true,"filter":{"types":["violation","sample"],
        "min_severity":"WARNING","rule_ids":[1,2],"sample_max_hz":2.5}}"#;
    let subscription = Subscription {
        chosen: Chosen::These(vec![id(1)]),
        groups: vec!["plant/line4".to_owned()],
        since: Some(Position { epoch: "e1".to_owned(), seq: 7 }),
        snapshot: true,
        history: true,
        filter: Some(Filter {
            types: Some(vec![EventKind::Violation, EventKind::Sample]),
            min_severity: Some(Severity::Warning),
            rule_ids: Some(vec![1, 2]),
            sample_max_hz: Some(2.5),
        }),
    };
    assert_eq!(ClientMessage::parse(text), Ok(ClientMessage::Subscribe(subscription)));
    let groups = ClientMessage::parse(r#"{"type":"unsubscribe","groups":["plant"]}"#);
    let left = Unsubscription { ids: vec![], groups: vec!["plant".to_owned()] };
    assert_eq!(groups, Ok(ClientMessage::Unsubscribe(left)));
}

#[test]
fn a_field_that_makes_no_sense_is_refused_by_name() {
    for (field, value) in [
        ("since", "true"),
        ("since", r#"{"seq":1}"#),
        ("since", r#"["e",1]"#),
        ("since", r#"{"epoch":"e","seq":9007199254740992}"#),
        ("snapshot", "1"),
        ("filter", "[]"),
        ("mood", "1"),
        ("types", r#"{"a":1}"#),
        ("groups", r#"["plant//line4"]"#),
        ("sample_max_hz", "true"),
    ] {
        let text = format!(r#"{{"type":"subscribe","characteristic_ids":[1],"{field}":{value}}}"#);
        let refusal = ClientMessage::parse(&text).expect_err("refused");
        assert_eq!(refusal.code, ErrorCode::InvalidField, "{text}");
        let is_named = refusal.message.contains(field) || refusal.message.contains("column");
        assert!(is_named, "{}", refusal.message);
    }
    for filter in [
        r#"{"sample_max_hz":0}"#,
        r#"{"sample_max_hz":1e-20}"#,
        r#"{"types":["weather"]}"#,
        r#"{"min_severity":"BAD"}"#,
        r#"{"x":1}"#,
    ] {
        let text = format!(r#"{{"type":"subscribe","characteristic_ids":[1],"filter":{filter}}}"#);
        assert_eq!(code(&text), Some(ErrorCode::InvalidField), "{text}");
    }
    assert_eq!(code(r#"{"type":"subscribe","all":true,"groups":["a"]}"#), Some(ErrorCode::InvalidField));
}

#[test]
fn what_was_received_is_a_position() {
    assert_eq!(ClientMessage::parse(r#"{"type":"received","seq":7}"#), Ok(ClientMessage::Received(7)));
    assert_eq!(ClientMessage::parse(r#"{"type":"status"}"#), Ok(ClientMessage::Status));
    for bad in [r#"{"type":"received"}"#, r#"{"type":"received","seq":-1}"#, r#"{"type":"status","x":1}"#] {
        assert_eq!(code(bad), Some(ErrorCode::InvalidField), "{bad}");
    }
}

#[test]
fn ids_that_cannot_be_are_refused() {
    for bad in ["-1", "0", "1.5", "9007199254740992", "\"1\"", "1e999", "null"] {
        let text = format!(r#"{{"type":"subscribe","characteristic_ids":[{bad}]}}"#);
        assert!(code(&text).is_some(), "{bad}");
    }
}

#[test]
fn what_the_server_says_can_be_read_back() {
    for text in [
        r#"{"type":"subscribed","characteristic_ids":[7],"epoch":"e","seq":3,"revisions":{"7":2}}"#,
        r#"{"type":"pong","t":{"a":1.5},"server_time":"2026-01-02T03:04:05.000000Z","seq":3}"#,
        r#"{"type":"pong","server_time":"2026-01-02T03:04:05.000000Z","seq":3}"#,
    ] {
        assert_eq!(serde_json::from_str::<ServerMessage>(text).expect(text).text(), text);
    }
}

#[test]
fn a_refused_auth_does_not_repeat_the_token() {
    let refusal = ClientMessage::parse(r#"{"type":"auth","token":["s3cret"]}"#).expect_err("no text");
    assert!(!refusal.message.contains("s3cret"));
}
