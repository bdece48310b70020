//! A mail as it is sent: headers, two bodies, and the chart between.
//!
//! * **One conversation** for each episode: all its mails refer to the same root, which itself is never sent.
//! * **The same name** with every attempt: who gets it twice can tell.
//! * **Sent by a machine** (RFC 3834): no holiday notice answers it.

use std::time::SystemTime;

use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};

use crate::notify::email::templates::Said;
use crate::notify::notifier::Alert;

/// What the HTML calls the chart.
pub const CHART: &str = "chart";

/// Puts a mail together.
///
/// # Errors
/// A library's, for what is checked before.
pub fn message(
    alert: &Alert,
    (from, to): (Mailbox, Mailbox),
    at: SystemTime,
    said: Said,
    chart: Option<Vec<u8>>,
) -> Result<Message, lettre::error::Error> {
    let domain = from.email.domain().to_owned();
    let episode = &alert.notice.update.episode;
    // A database that was begun anew counts from 1 again; no two of its episodes open in the same microsecond.
    let root = format!("<episode-{}-{}@{domain}>", episode.id, episode.opened_at.timestamp_micros());
    let html = SinglePart::html(said.html);
    let related = match chart {
        Some(png) => {
            let png_type = ContentType::parse("image/png").expect("a media type");
            let picture = Attachment::new_inline_with_name(CHART.to_owned(), "chart.png".to_owned());
            MultiPart::related().singlepart(html).singlepart(picture.body(png, png_type))
        }
        None => MultiPart::related().singlepart(html),
    };
    let machine = |name: &'static str, value: &str| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
    };
    Message::builder()
        .message_id(Some(format!("<{}@{domain}>", alert.delivery_id)))
        .in_reply_to(root.clone())
        .references(root)
        .date(at)
        .from(from)
        .to(to)
        .subject(said.subject)
        .raw_header(machine("Auto-Submitted", "auto-generated"))
        .raw_header(machine("X-Auto-Response-Suppress", "All"))
        .multipart(MultiPart::alternative().singlepart(SinglePart::plain(said.text)).multipart(related))
}
