//! Whether a client and this server deflate messages: the offers in `Sec-WebSocket-Extensions` (RFC 7692, section 7.1).
//!
//! Everything goes out without context takeover, since one deflated message is shared by all who get it, and comes in
//! without, since no inflater is kept for a connection. An offer that cannot be met is passed over, also where its
//! form is broken: to go on without compression is better than not to connect.

/// `permessage-deflate` as it is spoken here.
const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The same to an offer that asks for the window: the answer has to name it.
const ANSWER_WITH_WINDOW: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15";

/// What to answer to the values of the header; `None` if none of their offers can be met.
pub fn accept<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<&'static str> {
    values.into_iter().flat_map(|value| split(value, ',')).find_map(answer)
}

/// What to answer to one offer.
fn answer(offer: &str) -> Option<&'static str> {
    let mut parts = split(offer, ';').map(str::trim);
    if parts.next() != Some("permessage-deflate") {
        return None;
    }
    let mut seen = Vec::new();
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim(), Some(unquoted(value.trim())?)),
            None => (part, None),
        };
        let can_be_met = match (name, value.as_deref()) {
            (
                "server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits",
                None,
            ) => true,
            ("client_max_window_bits", Some(bits)) => is_window(bits),
            // One window for all: what is deflated once goes to everybody.
            ("server_max_window_bits", Some(bits)) => bits == "15",
            _ => false,
        };
        if !can_be_met || seen.contains(&name) {
            return None;
        }
        seen.push(name);
    }
    Some(if seen.contains(&"server_max_window_bits") { ANSWER_WITH_WINDOW } else { ANSWER })
}

fn is_window(bits: &str) -> bool {
    matches!(bits, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")
}

/// A value without its quotes; `None` if they do not match.
fn unquoted(value: &str) -> Option<String> {
    let Some(rest) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let (mut plain, mut rest) = (String::new(), rest.chars());
    loop {
        match rest.next()? {
            '"' => return rest.as_str().is_empty().then_some(plain),
            '\\' => plain.push(rest.next()?),
            other => plain.push(other),
        }
    }
}

/// The pieces between separators, of which those within quotes are none.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |character| {
        let is_plain = !is_quoted && character == separator;
        is_quoted ^= character == '"' && !is_escaped;
        is_escaped = is_quoted && character == '\\' && !is_escaped;
        is_plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_that_can_be_met_are_accepted() {
        for offer in [
            "permessage-deflate",
            " permessage-deflate ; client_max_window_bits ", // browsers
            "permessage-deflate;server_no_context_takeover;client_no_context_takeover",
            "permessage-deflate; client_max_window_bits=10",
            "permessage-deflate; client_max_window_bits=\"8\"",
            "permessage-deflate; client_max_window_bits=\"\\1\\5\"",
            "x-webkit-deflate-frame, permessage-deflate",
            "foo; bar=\"permessage-deflate, \\\", ;\", permessage-deflate",
            ",, permessage-deflate,",
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            "permessage-deflate; unknown, permessage-deflate; client_max_window_bits",
        ] {
            assert_eq!(accept([offer]), Some(ANSWER), "{offer}");
        }
        assert_eq!(accept(["foo", "permessage-deflate"]), Some(ANSWER), "in two headers");
    }

    #[test]
    fn an_offer_that_asks_for_the_window_is_told_it() {
        assert_eq!(accept(["permessage-deflate; server_max_window_bits=15"]), Some(ANSWER_WITH_WINDOW));
        assert_eq!(accept(["permessage-deflate; server_max_window_bits=\"15\""]), Some(ANSWER_WITH_WINDOW));
    }

    #[test]
    fn offers_that_cannot_be_met_are_passed_over() {
        for offer in [
            "",
            "permessage-bzip2",
            "permessage-deflate2",
            "permessage-deflate; unknown",
            "permessage-deflate; ",
            "permessage-deflate; server_max_window_bits=14",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=015",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=08",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; client_max_window_bits=\"10",
            "permessage-deflate; client_max_window_bits=\"10\"5",
            "permessage-deflate; client_max_window_bits=\"\\\\10\"",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=true",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=10; client_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "foo; bar=\"permessage-deflate, permessage-deflate\"",
        ] {
            assert_eq!(accept([offer]), None, "{offer}");
        }
        assert_eq!(accept([]), None);
    }
}
