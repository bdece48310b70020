//! What a file names: every path in its code, made absolute with the help of its `use` lines.

use std::collections::HashMap;

use crate::tokens::{Token, tokens};

/// A Rust file of the project.
#[derive(Debug, Clone)]
pub struct File {
    /// From the project's root, with `/`.
    pub path: String,
    pub text: String,
}

/// A path that the code of a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// `crate` first, if it leads into this crate.
    pub segments: Vec<String>,
    pub line: usize,
    pub test_only: bool,
    /// Stands there in full; not completed from a `use` line.
    pub written: bool,
}

impl File {
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// The module this file is: `["http", "ws"]` for `src/http/ws.rs` and for `src/http/ws/mod.rs`.
    pub fn module(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let mut module: Vec<&str> = inside.strip_suffix(".rs").unwrap_or(inside).split('/').collect();
        if matches!(module.last(), Some(&"mod")) || matches!(module[..], ["lib" | "main"]) {
            module.pop();
        }
        module
    }

    /// The part of the house: `http` for `src/http/ws/mod.rs`, `lib` for `src/lib.rs`.
    pub fn part(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split('/').next().map_or(inside, |first| first.strip_suffix(".rs").unwrap_or(first))
    }

    /// Whether the whole file is tests: `tests.rs`, or under a folder `tests/`.
    pub fn is_tests(&self) -> bool {
        self.path.split('/').any(|piece| piece == "tests" || piece == "tests.rs")
    }

    /// Every path that the code names, in the order of the text.
    pub fn names(&self) -> Vec<Name> {
        let tokens = tokens(&self.text);
        let mut reader = Reader {
            tokens: &tokens,
            at: 0,
            module: self.module().into_iter().map(str::to_owned).collect(),
            braces: 0,
            inline_modules: Vec::new(),
            imports: Imports::default(),
            names: Vec::new(),
        };
        reader.read();
        let Reader { imports, mut names, .. } = reader;
        for name in &mut names {
            if let Some(full) = imports.full(name) {
                name.segments = full;
            }
            name.test_only |= self.is_tests();
        }
        names
    }
}

/// What the `use` lines of a file call by a short name.
#[derive(Default)]
struct Imports {
    code: HashMap<String, Vec<String>>,
    tests: HashMap<String, Vec<String>>,
}

impl Imports {
    fn full(&self, name: &Name) -> Option<Vec<String>> {
        let (first, rest) = name.segments.split_first().filter(|_| !name.written)?;
        let own = name.test_only.then(|| self.tests.get(first)).flatten();
        let start = own.or_else(|| self.code.get(first))?;
        Some(start.iter().chain(rest).cloned().collect())
    }
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    module: Vec<String>,
    braces: usize,
    /// The depth of the braces of each inline module that is open.
    inline_modules: Vec<usize>,
    imports: Imports,
    names: Vec<Name>,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(token) = self.tokens.get(self.at) {
            match token.text.as_str() {
                "{" => self.braces += 1,
                "}" => {
                    if self.inline_modules.pop_if(|depth| *depth == self.braces).is_some() {
                        self.module.pop();
                    }
                    self.braces = self.braces.saturating_sub(1);
                }
                "mod" if self.text(self.at + 2) == "{" => {
                    self.module.push(self.text(self.at + 1).to_owned());
                    self.inline_modules.push(self.braces + 1);
                }
                "use" if self.text(self.at + 1) != "<" => {
                    self.at += 1;
                    self.use_tree(&[]);
                    continue;
                }
                _ if token.is_word() => {
                    self.path();
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// The text of a token; empty behind the end.
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    fn path(&mut self) {
        let start = self.at;
        let mut segments = vec![self.text(start).to_owned()];
        while self.text(self.at + 1) == "::" && self.tokens.get(self.at + 2).is_some_and(Token::is_word) {
            self.at += 2;
            segments.push(self.text(self.at).to_owned());
        }
        self.at += 1;
        let before = |back: usize| start.checked_sub(back).map_or("", |at| self.text(at));
        let is_member = before(1) == "." && before(2) != ".";
        let is_continued = before(1) == "::";
        let (segments, is_absolute) = self.absolute(segments);
        self.push(segments, start, is_absolute || is_member || is_continued);
    }

    /// One branch of a `use`, with `prefix` before it.
    fn use_tree(&mut self, prefix: &[String]) {
        let (start, mut segments) = (self.at, prefix.to_vec());
        loop {
            match self.text(self.at) {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !matches!(self.text(self.at), "}" | "") {
                        self.use_tree(&segments);
                        if self.text(self.at) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                word => {
                    let (word, is_end) = (word.to_owned(), self.text(self.at + 1) != "::");
                    self.at += 1;
                    if word != "self" || segments.is_empty() {
                        segments.push(word);
                    }
                    if is_end {
                        break;
                    }
                }
            }
        }
        let mut short = segments.last().cloned().unwrap_or_default();
        if self.text(self.at) == "as" {
            short = self.text(self.at + 1).to_owned();
            self.at += 2;
        }
        while !matches!(self.text(self.at), "," | "}" | ";" | "") {
            self.at += 1; // a macro's placeholder: nothing to read
        }
        let (segments, _) = self.absolute(segments);
        let test_only = self.tokens.get(start).is_some_and(|token| token.test_only);
        let imports = if test_only { &mut self.imports.tests } else { &mut self.imports.code };
        imports.insert(short, segments.clone());
        self.push(segments, start, true);
    }

    /// The same path from the root of its crate, and whether it leads there at all.
    fn absolute(&self, segments: Vec<String>) -> (Vec<String>, bool) {
        let supers = segments.iter().take_while(|segment| *segment == "super").count();
        let start = match segments[0].as_str() {
            "crate" | "andon" if segments.len() > 1 => vec![],
            "self" if segments.len() > 1 => self.module.clone(),
            "super" => self.module[..self.module.len().saturating_sub(supers)].to_vec(),
            _ => return (segments, false),
        };
        let rest = segments.into_iter().skip(supers.max(1));
        (["crate".to_owned()].into_iter().chain(start).chain(rest).collect(), true)
    }

    fn push(&mut self, segments: Vec<String>, at: usize, written: bool) {
        let Token { line, test_only, .. } = self.tokens[at];
        self.names.push(Name { segments, line, test_only, written });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths of more than one segment, as text.
    fn paths(path: &str, text: &str) -> Vec<String> {
        let names = File::new(path, text).names();
        names.iter().filter(|n| n.segments.len() > 1).map(|n| n.segments.join("::")).collect()
    }

    #[test]
    fn a_use_line_names_each_of_its_leaves() {
        assert_eq!(
            paths("src/a.rs", "pub(crate) use crate::{b::{self, c::D as E, f::*}, g};"),
            ["crate::b", "crate::b::c::D", "crate::b::f::*", "crate::g"]
        );
        assert_eq!(paths("src/a.rs", "use {crate::b, std::fmt};"), ["crate::b", "std::fmt"]);
        assert_eq!(paths("src/main.rs", "use andon::b;"), ["crate::b"]);
    }

    #[test]
    fn a_path_in_the_code_is_named_too() {
        assert_eq!(
            paths("src/a.rs", "fn f(b: &crate::b::B) -> Vec<crate::c::C> {}"),
            ["crate::b::B", "crate::c::C"]
        );
        assert_eq!(paths("src/a.rs", "macro_rules! m { () => { $crate::b::c!() } }"), ["crate::b::c"]);
    }

    #[test]
    fn super_and_self_lead_to_the_root() {
        assert_eq!(paths("src/a/b.rs", "use super::super::c::D;"), ["crate::c::D"]);
        assert_eq!(paths("src/a/mod.rs", "use super::c;"), ["crate::c"]);
        assert_eq!(
            paths("src/a/b.rs", "mod d { use super::super::e; } use super::f;"),
            ["crate::a::e", "crate::a::f"]
        );
        assert_eq!(paths("src/a/b.rs", "use self::c::D;"), ["crate::a::b::c::D"]);
    }

    #[test]
    fn short_names_are_completed_from_the_use_lines() {
        assert_eq!(
            paths("src/a.rs", "use std::time::Instant as Now; fn f() { Now::now(); g.Now; }"),
            ["std::time::Instant", "std::time::Instant::now"]
        );
        let shadowed = "use tokio::time::Instant; fn f() { Instant::now(); }
                        #[cfg(test)] mod tests { use std::time::Instant; fn g() { Instant::now(); } }";
        assert_eq!(
            paths("src/a.rs", shadowed),
            [
                "tokio::time::Instant",
                "tokio::time::Instant::now",
                "std::time::Instant",
                "std::time::Instant::now"
            ]
        );
    }

    #[test]
    fn a_file_knows_its_part_and_its_module() {
        let file = |path| File::new(path, "");
        assert_eq!(
            (file("src/http/ws/mod.rs").part(), file("src/http/ws/mod.rs").module()),
            ("http", vec!["http", "ws"])
        );
        assert_eq!((file("src/clock.rs").part(), file("src/clock.rs").module()), ("clock", vec!["clock"]));
        assert_eq!((file("src/lib.rs").part(), file("src/lib.rs").module()), ("lib", vec![]));
        assert!(file("src/bus/tests/mod.rs").is_tests() && file("src/bus/tests.rs").is_tests());
        assert!(!file("src/bus/ring.rs").is_tests());
    }
}
