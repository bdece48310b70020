//! The shape of a file: not too long, and it opens with what it is for.

use crate::Finding;
use crate::names::File;

/// At 400 lines one asks whether there are two ideas; here one splits.
const MAX_LINES: usize = 500;

pub fn size(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    let message = format!("{lines} lines, over {MAX_LINES}: two ideas in one room?");
    (lines > MAX_LINES).then(|| Finding::new(file, MAX_LINES + 1, message))
}

pub fn header(file: &File) -> Option<Finding> {
    let message = "a file opens with `//!`: what it does and what it must not know".to_owned();
    (!file.text.starts_with("//! ")).then(|| Finding::new(file, 1, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_more_than_500_lines_is_caught() {
        let of_lines = |lines| File::new("tests/it/main.rs", "// a line\n".repeat(lines));
        assert!(size(&of_lines(500)).is_none());
        let finding = size(&of_lines(501)).expect("one line too many");
        assert_eq!(finding.to_string(), "tests/it/main.rs:501: 501 lines, over 500: two ideas in one room?");
    }

    #[test]
    fn a_file_without_a_header_is_caught() {
        let opening = |text| header(&File::new("src/clock.rs", text));
        assert!(opening("//! The time.\n\nuse std::fmt;").is_none());
        for text in ["use std::fmt;\n//! Late.", "// Not a header.", "/// Of an item.", "\n//! Late.", ""] {
            assert!(opening(text).is_some(), "{text:?}");
        }
    }
}
