//! The files of the operators' page: who may import whom, what no script may do, and their shape.
//!
//! `vendor/` is as its authors published it, and not looked at.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where they lie.
pub const FOLDER: &str = "src/http/dashboard/static";

/// As for Rust: two ideas in one room?
const MAX_LINES: usize = 500;

/// Words by which text would become markup or program, or another host would be asked.
const FORBIDDEN: [&str; 9] = [
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "new Function",
    "style=",
    "<script>",
    "<style",
];

/// The one address that is asked by nobody: the name of SVG.
const NAMESPACE: &str = "http://www.w3.org/2000/svg";

/// A file of the pages.
pub struct PageFile {
    /// Below [`FOLDER`].
    pub path: String,
    pub text: String,
}

/// All of them, but vendored ones.
pub fn files(root: &Path) -> Vec<PageFile> {
    let folder = root.join(FOLDER);
    let mut files = Vec::new();
    collect(&folder, &folder, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(top: &Path, folder: &Path, files: &mut Vec<PageFile>) {
    for entry in fs::read_dir(folder).expect("the pages can be read") {
        let path = entry.expect("the pages can be read").path();
        let inside = path.strip_prefix(top).expect("found under it").to_string_lossy().replace('\\', "/");
        if path.is_dir() {
            if inside != "vendor" {
                collect(top, &path, files);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            files.push(PageFile { path: inside, text });
        }
    }
}

/// What is wrong with a file, each with its line.
pub fn check(file: &PageFile) -> Vec<String> {
    let PageFile { path, text } = file;
    let finding = |line: usize, what: String| format!("{FOLDER}/{path}:{line}: {what}");
    let mut findings = Vec::new();
    let total = text.lines().count();
    if total > MAX_LINES {
        findings.push(finding(MAX_LINES + 1, format!("{total} lines, over {MAX_LINES}")));
    }
    let opening = match path.rsplit('.').next() {
        Some("js" | "ts") => "// ",
        Some("css") => "/* ",
        Some("html") => "<!doctype html>",
        Some("svg") => "<svg",
        _ => return findings, // what describes the package
    };
    if !text.starts_with(opening) && !text.starts_with("/** ") {
        findings.push(finding(1, format!("it opens with {opening:?}, and with what it is for")));
    }
    for (index, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if code.starts_with("//") || code.starts_with('*') || code.starts_with("/*") {
            continue;
        }
        for word in FORBIDDEN.into_iter().filter(|word| line.contains(word)) {
            findings
                .push(finding(index + 1, format!("{word:?}: text stays text, and the policy forbids it")));
        }
        if line.replace(NAMESPACE, "").contains("://") && !line.contains("//`") {
            findings.push(finding(
                index + 1,
                "an address of its own: all are relative to where the page is".to_owned(),
            ));
        }
        if let Some(other) = imported(line).and_then(|specifier| resolve(path, specifier))
            && !may_import(room(path), room(&other))
        {
            findings.push(finding(index + 1, format!("{} may not import {other}", room(path))));
        }
    }
    findings
}

/// What is wrong with the list of modules that a page has its browser fetch ahead of time: it is what its script imports, and
/// what that imports. One that is left out is fetched a round trip later; one too many is fetched for nothing.
pub fn check_preloads(page: &PageFile, files: &[PageFile]) -> Vec<String> {
    let named = |before: &str| -> BTreeSet<String> {
        let after = page.text.split(before).skip(1);
        after.filter_map(|rest| Some(rest.split('"').next()?.split_once("assets/")?.1.to_owned())).collect()
    };
    let scripts = named("<script type=\"module\" src=\"");
    let mut needed = BTreeSet::new();
    let mut to_read: Vec<String> = scripts.iter().cloned().collect();
    while let Some(path) = to_read.pop() {
        let Some(file) = files.iter().find(|file| file.path == path) else { continue };
        let imports = file.text.lines().filter(|line| !line.trim_start().starts_with(['/', '*']));
        let statically = imports.filter(|line| !line.contains("import(\""));
        for other in statically.filter_map(|line| resolve(&path, imported(line)?)) {
            if needed.insert(other.clone()) {
                to_read.push(other);
            }
        }
    }
    let listed = named("<link rel=\"modulepreload\" href=\"");
    let finding = |what: &str, path: &String| format!("{FOLDER}/{}: {what} {path}", page.path);
    let missing = needed.difference(&listed).filter(|path| !scripts.contains(*path));
    missing
        .map(|path| finding("does not preload", path))
        .chain(listed.difference(&needed).map(|path| finding("preloads in vain", path)))
        .collect()
}

/// What a line imports: `... from "./x.js"`, `import "./x.js"`, `import("./x.js")`.
fn imported(line: &str) -> Option<&str> {
    let (_, rest) = ["from \"", "import \"", "import(\""].iter().find_map(|word| line.split_once(word))?;
    rest.split('"').next()
}

/// The file that a relative specifier names; `None`, for what is no path.
fn resolve(from: &str, specifier: &str) -> Option<String> {
    if !specifier.starts_with('.') {
        return None;
    }
    let mut pieces: Vec<&str> = from.split('/').collect();
    pieces.pop();
    for piece in specifier.split('/') {
        match piece {
            "." => {}
            ".." => {
                pieces.pop();
            }
            name => pieces.push(name),
        }
    }
    Some(pieces.join("/"))
}

fn room(path: &str) -> &str {
    path.split_once('/').map_or("", |(room, _)| room)
}

/// The client knows nothing of the pages, what pages share knows no page, and no page knows another.
fn may_import(from: &str, to: &str) -> bool {
    from == to || to == "client" || (from != "client" && matches!(to, "shared" | "vendor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&PageFile { path: path.to_owned(), text: text.to_owned() })
    }

    #[test]
    fn a_page_that_knows_another_is_caught() {
        let importing = |path, other| found(path, &format!("// Header.\nimport {{ a }} from \"{other}\";\n"));
        for (path, other) in [
            ("wall/wall.js", "../shared/dom.js"),
            ("wall/wall.js", "./tile.js"),
            ("chart/chart.js", "../vendor/uplot/uPlot.esm.js"),
            ("shared/shell.js", "../client/andon-client.js"),
        ] {
            assert_eq!(importing(path, other), Vec::<String>::new(), "{path} {other}");
        }
        for (path, other) in [
            ("wall/wall.js", "../chart/chart.js"),
            ("shared/shell.js", "../wall/tile.js"),
            ("client/andon-client.js", "../shared/dom.js"),
        ] {
            assert_eq!(importing(path, other).len(), 1, "{path} {other}");
        }
        let lazily = "// Header.\nconst page = await import(\"../chart/chart.js\");\n";
        assert_eq!(found("wall/wall.js", lazily).len(), 1);
    }

    #[test]
    fn markup_from_text_and_other_hosts_are_caught() {
        for line in [
            "box.innerHTML = name;",
            "eval(text);",
            "fetch(\"https://elsewhere.example/\");",
            "<p style=\"color: red\">",
        ] {
            assert_eq!(found("wall/wall.js", &format!("// Header.\n{line}\n")).len(), 1, "{line}");
        }
        let fine = "// See https://www.rfc-editor.org/.\nconst SVG = \"http://www.w3.org/2000/svg\";\n";
        assert_eq!(found("shared/dom.js", fine), Vec::<String>::new());
    }

    #[test]
    fn a_page_that_does_not_preload_what_it_runs_is_caught() {
        let file = |path: &str, text: &str| PageFile { path: path.to_owned(), text: text.to_owned() };
        let modules = [
            file("wall/wall.js", "import { a } from \"../shared/dom.js\";\nawait import(\"./late.js\");\n"),
            file("shared/dom.js", "// import \"./no.js\"\nimport \"./deep.js\";\n"),
            file("shared/deep.js", "import { wall } from \"../wall/wall.js\";\n"),
        ];
        let page = |preloads: &[&str]| {
            let links =
                preloads.iter().map(|path| format!("<link rel=\"modulepreload\" href=\"assets/{path}\">\n"));
            let script = "<script type=\"module\" src=\"assets/wall/wall.js\"></script>\n";
            check_preloads(&file("wall.html", &(links.collect::<String>() + script)), &modules)
        };
        assert_eq!(page(&["shared/dom.js", "shared/deep.js"]), Vec::<String>::new());
        let missing = page(&["shared/dom.js"]);
        assert!(missing.len() == 1 && missing[0].ends_with("does not preload shared/deep.js"), "{missing:?}");
        let vain = page(&["shared/dom.js", "shared/deep.js", "wall/late.js"]);
        assert!(vain.len() == 1 && vain[0].ends_with("preloads in vain wall/late.js"), "{vain:?}");
    }

    #[test]
    fn a_file_that_is_long_or_does_not_say_what_it_is_for_is_caught() {
        assert_eq!(found("wall/wall.js", "import x;\n").len(), 1);
        assert_eq!(found("wall/wall.css", &format!("/* Header. */\n{}", "a {}\n".repeat(500))).len(), 1);
    }
}
