//! Who derives serde: `protocol/` for the wire, settings for reading files, ids and plain enums for their names.

use crate::Finding;
use crate::names::File;
use crate::tokens::{Token, after_group, tokens};

pub fn check(file: &File) -> Vec<Finding> {
    if file.is_tests() || file.part() == "protocol" {
        return Vec::new();
    }
    let tokens = tokens(&file.text);
    let derives = (0..tokens.len()).filter(|at| tokens[*at].text == "derive" && !tokens[*at].test_only);
    derives.filter_map(|at| Derive::read(&tokens, at)).filter_map(|derive| derive.refusal(file)).collect()
}

/// A type that derives something of serde.
struct Derive<'a> {
    line: usize,
    name: &'a str,
    serializes: bool,
    shape: Shape,
}

#[derive(PartialEq)]
enum Shape {
    /// An enum without fields.
    PlainEnum,
    TupleStruct,
    Other,
}

impl<'a> Derive<'a> {
    /// Reads the type whose `derive` stands at `at`; `None` if it derives nothing of serde.
    fn read(tokens: &'a [Token], at: usize) -> Option<Self> {
        let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
        let derived = &tokens[at..after_group(tokens, at + 1)];
        let derives = |name: &str| derived.iter().any(|token| token.text == name);
        let serializes = derives("Serialize");
        if !serializes && !derives("Deserialize") {
            return None;
        }
        let kind = (at..tokens.len()).find(|at| matches!(text(*at), "struct" | "enum" | "union"))?;
        let name = if text(kind + 1) == "$" { kind + 2 } else { kind + 1 };
        let body = (name..tokens.len()).find(|at| matches!(text(*at), "{" | "(" | ";"))?;
        let shape = match (text(kind), text(body)) {
            ("struct", "(") => Shape::TupleStruct,
            ("enum", "{") if is_plain(&tokens[body + 1..after_group(tokens, body) - 1]) => Shape::PlainEnum,
            _ => Shape::Other,
        };
        Some(Self { line: tokens[at].line, name: text(name), serializes, shape })
    }

    fn refusal(&self, file: &File) -> Option<Finding> {
        let (is_allowed, why) = match file.part() {
            "domain" => (
                self.shape == Shape::PlainEnum
                    || self.shape == Shape::TupleStruct && file.path == "src/domain/ids.rs",
                "domain derives serde only on ids and on enums without fields",
            ),
            "spc" | "bus" => (false, "the statistics and the bus know no wire"),
            "settings" | "cli" => (!self.serializes, "settings and commands are read, not written"),
            _ => (
                !self.serializes && (self.name.ends_with("Settings") || self.shape == Shape::PlainEnum),
                "only protocol/ derives the wire; elsewhere only `...Settings` and enums without fields, \
                 which are their values, derive Deserialize",
            ),
        };
        let derived = if self.serializes { "Serialize" } else { "Deserialize" };
        let message = format!("{} derives {derived}: {why}", self.name);
        (!is_allowed).then(|| Finding::new(file, self.line, message))
    }
}

/// Whether none of an enum's variants has fields.
fn is_plain(variants: &[Token]) -> bool {
    let mut at = 0;
    while let Some(token) = variants.get(at) {
        match token.text.as_str() {
            "#" => at = after_group(variants, at + 1),
            "{" | "(" => return false,
            _ => at += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "#[derive(Debug, Serialize, Deserialize)] #[serde(rename_all = \"snake_case\")]
        pub enum Side { #[serde(rename = \"up\")] Above, Below = 2 }";
    const SETTINGS: &str = "#[derive(Deserialize)] #[serde(default)] pub struct Settings { pub a: u8 }";

    #[test]
    fn serde_where_it_does_not_belong_is_caught() {
        for (path, code) in [
            ("src/domain/sample.rs", "#[derive(Serialize)] pub struct Sample { a: u8 }"),
            ("src/domain/sample.rs", "#[derive(serde::Deserialize)] pub struct Value(f64);"),
            ("src/domain/event.rs", "#[derive(Debug, Serialize)] pub enum Event { Sample(Sample), Other }"),
            ("src/domain/event.rs", "#[derive(Serialize)] enum Event { A { b: u8 } }"),
            ("src/domain/ids.rs", "#[derive(Serialize)] pub struct Id { id: i64 }"),
            ("src/domain/mod.rs", SETTINGS),
            ("src/domain/chart.rs", "#[cfg_attr(feature = \"x\", derive(Serialize))] struct Chart { a: u8 }"),
            ("src/spc/signal.rs", PLAIN),
            ("src/bus/mod.rs", SETTINGS),
            ("src/store/log.rs", "#[derive(Serialize)] struct LogRow { seq: u64 }"),
            ("src/http/samples.rs", "#[derive(Debug, Deserialize)] pub struct Query { limit: u32 }"),
            ("src/http/mod.rs", "#[derive(Serialize, Deserialize)] pub struct Settings { a: u8 }"),
            ("src/http/auth.rs", "#[derive(Serialize)] pub enum Role { Read }"),
            ("src/http/auth.rs", "#[derive(Deserialize)] pub enum Role { Read(u8) }"),
            ("src/settings.rs", "#[derive(Serialize)] pub struct File { a: u8 }"),
        ] {
            assert_eq!(check(&File::new(path, code)).len(), 1, "{path}: {code}");
        }
    }

    #[test]
    fn serde_where_it_belongs_passes() {
        for (path, code) in [
            ("src/protocol/event.rs", "#[derive(Serialize, Deserialize)] pub struct Envelope { seq: u64 }"),
            ("src/domain/chart.rs", PLAIN),
            ("src/domain/ids.rs", "#[derive(Serialize, Deserialize)] pub struct SampleId(i64);"),
            (
                "src/domain/ids.rs",
                "macro_rules! ids { () => { #[derive(Serialize)] pub struct $name(i64); } }",
            ),
            ("src/store/mod.rs", SETTINGS),
            ("src/http/mod.rs", "#[derive(Deserialize)] pub struct SocketSettings { a: u8 }"),
            ("src/http/auth.rs", "#[derive(Deserialize)] pub enum Role { Read }"),
            ("src/settings.rs", "#[derive(Deserialize)] struct File { store: store::Settings }"),
            ("src/cli/demo.rs", "#[derive(Deserialize)] enum Scenario { A { b: u8 } }"),
            ("src/store/log.rs", "#[derive(Debug)] struct Row; // #[derive(Serialize)]"),
            ("src/store/log.rs", "#[cfg(test)] mod tests { #[derive(Serialize)] struct Row { a: u8 } }"),
        ] {
            let findings = check(&File::new(path, code));
            assert!(findings.is_empty(), "{path}: {code}\n{findings:?}");
        }
    }

    #[test]
    fn a_finding_names_the_type_and_the_reason() {
        let file = File::new("src/spc/signal.rs", "//! Signals.\n#[derive(Serialize)]\nstruct Signal(u8);");
        assert_eq!(
            check(&file)[0].to_string(),
            "src/spc/signal.rs:2: Signal derives Serialize: the statistics and the bus know no wire"
        );
    }
}
