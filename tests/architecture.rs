//! The house keeps its shape: reads the project's own text, and checks who names whom.
//!
//! The rules stand in `ARCHITECTURE.md`. Each is tested beside itself with violations planted in memory, so
//! that a rule which catches nothing is a failing test. Comments and literals are not code.

use std::fmt;
use std::fs;
use std::path::Path;

#[path = "architecture/absences.rs"]
mod absences;
#[path = "architecture/derives.rs"]
mod derives;
#[path = "architecture/edges.rs"]
mod edges;
#[path = "architecture/names.rs"]
mod names;
#[path = "architecture/pages.rs"]
mod pages;
#[path = "architecture/shape.rs"]
mod shape;
#[path = "architecture/tokens.rs"]
mod tokens;

use names::File;

/// A line that breaks a rule.
#[derive(Debug)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(file: &File, line: usize, message: String) -> Self {
        Self { path: file.path.clone(), line, message }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

#[test]
fn no_part_knows_another_that_it_may_not_know() {
    assert_none(files_in("src").iter().flat_map(edges::check));
}

#[test]
fn nothing_is_said_where_it_is_absent_by_design() {
    assert_none(files_in("src").iter().flat_map(absences::check));
}

#[test]
fn serde_is_derived_only_where_it_belongs() {
    assert_none(files_in("src").iter().flat_map(derives::check));
}

#[test]
fn no_file_is_longer_than_500_lines() {
    assert_none(files_in("src").iter().chain(&files_in("tests")).filter_map(shape::size));
}

#[test]
fn every_source_file_opens_with_what_it_is_for() {
    assert_none(files_in("src").iter().filter_map(shape::header));
}

#[test]
fn the_pages_keep_their_rules() {
    let files = pages::files(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(!files.is_empty(), "{} holds no file: nothing would be checked", pages::FOLDER);
    let is_page = |file: &&pages::PageFile| file.path.ends_with(".html");
    let preloads = files.iter().filter(is_page).flat_map(|page| pages::check_preloads(page, &files));
    let findings: Vec<String> = files.iter().flat_map(pages::check).chain(preloads).collect();
    assert!(findings.is_empty(), "{} to mend:\n{}\n", findings.len(), findings.join("\n"));
}

fn assert_none(findings: impl Iterator<Item = Finding>) {
    let lines: Vec<String> = findings.map(|finding| finding.to_string()).collect();
    assert!(lines.is_empty(), "{} to mend:\n{}\n", lines.len(), lines.join("\n"));
}

/// Every Rust file under a folder of the project, in a stable order.
fn files_in(folder: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(root, &root.join(folder), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!files.is_empty(), "{folder} holds no Rust file: nothing would be checked");
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("the project's folders can be read") {
        let path = entry.expect("the project's folders can be read").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let inside = path.strip_prefix(root).expect("found under the root");
            let pieces: Vec<_> = inside.iter().map(|piece| piece.to_string_lossy()).collect();
            files.push(File::new(pieces.join("/"), fs::read_to_string(&path).expect("Rust is UTF-8")));
        }
    }
}
