//! Rust text to words: comments and the insides of literals fall away, lines and test-only code are marked.
//!
//! Not a compiler: it knows enough of the language to tell code from what only looks like code.

/// One word or sign of the code. A literal is `""` or `''`, whatever was in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    /// Counted from 1.
    pub line: usize,
    /// Compiled for tests only.
    pub test_only: bool,
}

impl Token {
    pub fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The code of `source`, word by word.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while !rest.is_empty() {
        let (length, text) = next(rest);
        let (taken, left) = rest.split_at(length);
        if let Some(text) = text {
            tokens.push(Token { text: text.to_owned(), line, test_only: false });
        }
        line += taken.matches('\n').count();
        rest = left;
    }
    mark_test_only(&mut tokens);
    tokens
}

/// How many bytes come next, and the token they make, if they are code.
fn next(rest: &str) -> (usize, Option<&str>) {
    let first = rest.chars().next().expect("only called with text left");
    if first.is_whitespace() {
        return (first.len_utf8(), None);
    }
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), None);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), None);
    }
    if let Some(length) = string(rest) {
        return (length, Some("\"\""));
    }
    if first == '\'' {
        return match character(rest) {
            Some(length) => (length, Some("''")),
            None => (1 + word(&rest[1..]), None), // a lifetime or a label
        };
    }
    if rest.starts_with("::") {
        return (2, Some("::"));
    }
    let length = word(rest).max(first.len_utf8());
    (length, Some(&rest[..length]))
}

fn word(rest: &str) -> usize {
    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
}

fn block_comment(rest: &str) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < rest.len() {
        let here = &rest.as_bytes()[at..];
        let step = if here.starts_with(b"/*") || here.starts_with(b"*/") { 2 } else { 1 };
        match here.get(..step) {
            Some(b"/*") => depth += 1,
            Some(b"*/") => depth -= 1,
            _ => {}
        }
        at += step;
    }
    at
}

/// The length of the string literal that `rest` starts with.
fn string(rest: &str) -> Option<usize> {
    for prefix in ["br", "cr", "r"] {
        let Some(after) = rest.strip_prefix(prefix) else { continue };
        let hashes = after.len() - after.trim_start_matches('#').len();
        if let Some(inside) = after[hashes..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let opening = rest.len() - inside.len();
            return Some(inside.find(&end).map_or(rest.len(), |at| opening + at + end.len()));
        }
    }
    let quoted = ["b", "c", ""].iter().find_map(|prefix| rest.strip_prefix(prefix)?.strip_prefix('"'))?;
    Some(rest.len() - quoted.len() + up_to_quote(quoted, '"'))
}

/// The length of the character literal that `rest` starts with; `None` if it is a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inside = &rest[1..];
    let mut chars = inside.chars();
    let (first, second) = (chars.next()?, chars.next()?);
    (first == '\\' || second == '\'').then(|| 1 + up_to_quote(inside, '\''))
}

fn up_to_quote(inside: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    inside.len()
}

fn mark_test_only(tokens: &mut [Token]) {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let reads = |at: usize, words: &[&str]| words.iter().enumerate().all(|(i, word)| text(at + i) == *word);
    let mut test_only = vec![];
    for at in 0..tokens.len() {
        if reads(at, &["#", "!", "[", "cfg", "(", "test", ")"]) {
            test_only.push(0..tokens.len());
        }
        let plain = reads(at, &["#", "[", "cfg", "(", "test", ")"]);
        if plain || reads(at, &["#", "[", "cfg", "(", "all", "(", "test"]) {
            test_only.push(at..end_of_item(tokens, at));
        }
    }
    for range in test_only {
        tokens[range].iter_mut().for_each(|token| token.test_only = true);
    }
}

/// Where the item, field or statement ends whose first attribute stands at `at`.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    while text(at) == "#" {
        at = after_group(tokens, at + 1);
    }
    let mut name = at;
    if text(name) == "pub" {
        name += 1;
        if text(name) == "(" {
            name = after_group(tokens, name);
        }
    }
    let is_field = text(name + 1) == ":" || text(name + 1) == ",";
    while at < tokens.len() {
        match text(at) {
            "{" => return after_group(tokens, at),
            ";" => return at + 1,
            "," if is_field => return at + 1,
            "}" => return at,
            "(" | "[" => at = after_group(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// The place after the bracket that closes the one at `at`.
pub fn after_group(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> String {
        tokens(source).into_iter().map(|token| token.text).collect::<Vec<_>>().join(" ")
    }

    fn outside_tests(source: &str) -> String {
        tokens(source).into_iter().filter(|t| !t.test_only).map(|t| t.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_are_not_code() {
        assert_eq!(words("a // sqlx\nb /* sqlx /* sqlx */ sqlx */ c"), "a b c");
        assert_eq!(words("/// crate::store\n//! crate::store\nfn f()"), "fn f ( )");
    }

    #[test]
    fn the_inside_of_a_literal_is_not_code() {
        assert_eq!(
            words(r##"f("sqlx \" // sqlx", 'x', '\'', '"', b"sqlx", r#"sqlx " sqlx"#, g)"##),
            r#"f ( "" , '' , '' , '' , "" , "" , g )"#
        );
        assert_eq!(words("fn f<'a>(x: &'a str) -> char { 'a' }"), "fn f < > ( x : & str ) - > char { '' }");
    }

    #[test]
    fn lines_are_counted_through_comments_and_literals() {
        let lines: Vec<_> = tokens("/*\n*/ a \"\n\n\" b\nc").into_iter().map(|t| (t.text, t.line)).collect();
        assert_eq!(lines[0], ("a".to_owned(), 2));
        assert_eq!(lines[2], ("b".to_owned(), 4));
        assert_eq!(lines[3], ("c".to_owned(), 5));
    }

    #[test]
    fn test_only_items_end_where_they_end() {
        assert_eq!(outside_tests("a; #[cfg(test)] mod tests { mod x { b } } c"), "a ; c");
        assert_eq!(outside_tests("#[cfg(test)] mod tests; c"), "c");
        assert_eq!(outside_tests("#[cfg(test)] #[allow(x)] fn f<A, B>(a: [u8; 3]) { b } c"), "c");
        assert_eq!(outside_tests("#[cfg(all(test, unix))] use a::{b, c}; d"), "; d");
        assert_eq!(
            outside_tests("struct S { #[cfg(test)] pub(crate) a: u8, b: u8 } c"),
            "struct S { b : u8 } c"
        );
        assert_eq!(outside_tests("enum E { #[cfg(test)] A, B } c"), "enum E { B } c");
        assert_eq!(outside_tests("#![cfg(test)] a"), "");
        assert_eq!(outside_tests("#[cfg(not(test))] a"), "# [ cfg ( not ( test ) ) ] a");
    }
}
