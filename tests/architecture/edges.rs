//! Who may know whom: the allowed edges between the parts of `src/`.
//!
//! The same table stands, with its reasons, in `ARCHITECTURE.md`. Test code may know what it likes.

use std::collections::BTreeSet;

use crate::Finding;
use crate::names::File;

/// Small, and usable by all parts but [`ISOLATED`].
const LEAVES: [&str; 5] = ["clock", "error_chain", "health", "metrics", "tls"];

/// They know nothing of ours that is not written in [`EDGES`]: not even the leaves.
const ISOLATED: [&str; 3] = ["domain", "spc", "bus"];

/// The parts that do the work; whoever composes them may know them all.
const ROOMS: [&str; 11] = [
    "backplane",
    "broadcast",
    "bus",
    "chart",
    "client",
    "domain",
    "http",
    "notify",
    "protocol",
    "services",
    "spc",
];

/// Each part and the parts it may know, besides itself and the leaves.
const EDGES: [(&str, &[&str]); 19] = [
    ("main", &["cli"]),
    ("lib", &["app", "cli", "settings", "store", "telemetry"]), // and every room: its re-exports
    // `services` and `domain`: the demo feeds Andon as a program that embeds it does.
    ("cli", &["app", "client", "services", "protocol", "domain", "settings", "telemetry"]),
    ("app", &["settings", "site", "store", "telemetry"]), // and every room: it builds them
    ("settings", &["app", "site", "store", "telemetry"]), // and every room: the sum of their `Settings`
    ("http", &["services", "broadcast", "notify", "store", "protocol", "domain"]),
    ("notify", &["store", "protocol", "site", "domain"]),
    ("services", &["store", "spc", "chart", "domain"]),
    ("backplane", &["store", "bus", "protocol"]),
    ("broadcast", &["bus", "protocol", "domain"]),
    ("store", &["protocol", "domain"]),
    ("client", &["protocol", "domain"]),
    ("protocol", &["domain"]),
    ("spc", &["domain"]),
    ("chart", &["domain"]),
    ("domain", &[]),
    ("bus", &[]),
    ("site", &["domain"]),
    ("telemetry", &[]),
];

const COMPOSERS: [&str; 3] = ["lib", "app", "settings"];

pub fn check(file: &File) -> Vec<Finding> {
    let part = file.part();
    if !is_part(part) {
        return vec![Finding::new(
            file,
            1,
            format!("{part} is no part that tests/architecture/edges.rs knows"),
        )];
    }
    let mut findings = Vec::new();
    for name in file.names() {
        let [root, target, ..] = &name.segments[..] else { continue };
        if root != "crate" || !name.written || name.test_only || may_know(part, target) {
            continue;
        }
        let path = name.segments.join("::");
        let message = if is_part(target) {
            format!("{part} may not know {target}: it names `{path}`, and may know only {}", known_by(part))
        } else {
            format!(
                "{part} names `{path}`, which is no part: name it by its part, or add the part to the table"
            )
        };
        findings.push(Finding::new(file, name.line, message));
    }
    findings
}

fn parts() -> BTreeSet<&'static str> {
    EDGES.iter().map(|(part, _)| *part).chain(LEAVES).chain(ROOMS).collect()
}

fn is_part(name: &str) -> bool {
    parts().contains(name)
}

fn may_know(part: &str, target: &str) -> bool {
    let listed = EDGES.iter().any(|(from, to)| *from == part && to.contains(&target));
    let is_root = COMPOSERS.contains(&part) && ROOMS.contains(&target);
    let is_leaf = LEAVES.contains(&target) && !ISOLATED.contains(&part);
    let is_name_of_the_library = part == "main" && !is_part(target);
    part == target || listed || is_root || is_leaf || is_name_of_the_library
}

fn known_by(part: &str) -> String {
    let known: Vec<_> =
        parts().into_iter().filter(|target| *target != part && may_know(part, target)).collect();
    if known.is_empty() { "itself".to_owned() } else { known.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        check(&File::new(path, text)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_edge_that_is_not_in_the_table_is_caught_however_it_is_written() {
        for part in parts() {
            for target in parts().into_iter().filter(|target| !matches!(*target, "lib" | "main")) {
                for code in [
                    format!("use crate::{target};"),
                    format!("pub use crate::{target}::Thing;"),
                    format!("use crate::{{clock, {part}::x, {target}::{{y::Z, self}}}};"),
                    format!("fn f() {{ let x = crate::{target}::g(); }}"),
                    format!("use andon::{target}::Thing;"),
                    format!("mod inner {{ use super::super::{target}::Thing; }}"),
                ] {
                    let file = if part == "lib" || part == "main" {
                        File::new(format!("src/{part}.rs"), code.replace("super::super", "super"))
                    } else {
                        File::new(format!("src/{part}/mod.rs"), code)
                    };
                    let found = check(&file);
                    let named = found.iter().any(|finding| finding.message.contains(&format!("::{target}")));
                    assert_eq!(
                        named,
                        !may_know(part, target),
                        "{part} -> {target}: {}\n{found:?}",
                        file.text
                    );
                }
            }
        }
    }

    #[test]
    fn the_edges_that_the_promises_stand_on_are_closed() {
        for (part, target) in [
            ("services", "bus"),
            ("services", "broadcast"),
            ("services", "notify"),
            ("services", "protocol"),
            ("broadcast", "store"),
            ("broadcast", "http"),
            ("notify", "bus"),
            ("notify", "http"),
            ("notify", "broadcast"),
            ("http", "spc"),
            ("http", "bus"),
            ("http", "backplane"),
            ("store", "services"),
            ("store", "spc"),
            ("protocol", "store"),
            ("domain", "protocol"),
            ("domain", "clock"),
            ("spc", "clock"),
            ("spc", "store"),
            ("bus", "domain"),
            ("bus", "metrics"),
            ("client", "store"),
            ("chart", "spc"),
            ("backplane", "broadcast"),
            ("main", "app"),
            ("cli", "store"),
            ("app", "cli"),
            ("clock", "store"),
        ] {
            assert!(is_part(part) && is_part(target) && !may_know(part, target), "{part} -> {target}");
        }
    }

    #[test]
    fn a_finding_says_where_what_and_what_would_be_allowed() {
        assert_eq!(
            findings("src/services/queue.rs", "//! Queue.\n\nuse crate::bus::EventBus;\n"),
            ["src/services/queue.rs:3: services may not know bus: it names `crate::bus::EventBus`, \
              and may know only chart, clock, domain, error_chain, health, metrics, spc, store, tls"]
        );
    }

    #[test]
    fn tests_comments_and_literals_may_name_anything() {
        let code = "// use crate::store;\nconst X: &str = \"crate::store\";\n#[cfg(test)] mod tests { use crate::store; }";
        assert!(findings("src/bus/ring.rs", code).is_empty());
        assert!(findings("src/bus/tests/mod.rs", "use crate::store;").is_empty());
    }

    #[test]
    fn what_is_no_part_is_caught() {
        assert_eq!(findings("src/utils/mod.rs", "").len(), 1);
        assert_eq!(findings("src/services/mod.rs", "use crate::utils::x;").len(), 1);
        assert_eq!(findings("src/services/mod.rs", "use crate::*;").len(), 1);
        assert_eq!(findings("src/services/mod.rs", "use crate::EventBus;").len(), 1);
    }
}
