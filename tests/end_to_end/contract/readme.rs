//! What the Markdown files say of files, problems and codes is there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use hearback::api::problem::ProblemKind;
use hearback_adapters::websocket::protocol::ErrorCode;

use super::{files, is, path};

/// Folders that hold nothing of ours.
const NOT_OURS: [&str; 5] = ["target", "data", "node_modules", "vendor", "__pycache__"];

fn contract() -> String {
    fs::read_to_string(path("docs/contract/README.md")).unwrap()
}

/// What a text has between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The cells of a table's rows.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    lines.map(|line| line.split(" | ").collect())
}

#[test]
fn the_table_of_problems_has_a_row_for_each_with_its_status() {
    let text = contract();
    let table = text.split("| type, after `urn:hearback:problem:` |").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    let told: Vec<_> = rows(table)
        .filter_map(|row| Some((quoted(row[0]).next()?.to_owned(), row[1].parse::<u16>().unwrap())))
        .collect();
    let known: Vec<_> = ProblemKind::ALL.iter().map(|kind| (kind.code().to_owned(), kind.status())).collect();
    assert_eq!(told, known);
    let files: BTreeSet<_> = files(&path("docs/contract/problems")).into_iter().collect();
    assert_eq!(told.into_iter().map(|(code, _)| format!("{code}.json")).collect::<BTreeSet<_>>(), files);
}

#[test]
fn the_table_of_folders_names_files_that_are_there() {
    let text = contract();
    let mut named = BTreeSet::new();
    for row in rows(&text) {
        let Some(folder) = quoted(row[0]).find_map(|name| name.strip_suffix('/')) else { continue };
        named.insert(folder.to_owned());
        for file in quoted(row[1]).filter(|name| is(name, "json")) {
            assert!(path("docs/contract").join(folder).join(file).is_file(), "{folder}/{file}");
        }
    }
    let all = files(&path("docs/contract"));
    let folders = all.iter().filter_map(|file| file.rsplit_once('/')).map(|(folder, _)| folder.to_owned());
    assert_eq!(named, folders.collect());
}

#[test]
fn every_code_of_the_sockets_errors_is_told() {
    let text = contract();
    let section = text.split("\n## ").find(|section| section.starts_with("The socket")).unwrap();
    let error = serde_json::from_str::<ErrorCode>("\"\"").unwrap_err().to_string();
    let known: Vec<_> = quoted(&error).filter(|word| !word.is_empty()).collect();
    assert!(known.contains(&"malformed"), "{error}");
    for code in known {
        assert!(quoted(section).any(|word| word == code), "{code}");
    }
}

#[test]
fn the_first_lines_to_paste_are_those_of_the_page_and_a_shell_finds_the_program() {
    let readme = fs::read_to_string(path("README.md")).unwrap();
    let page = fs::read_to_string(path("templates/page/views/paste-lines.js")).unwrap();
    let ask = page.split('`').find(|text| text.starts_with("hearback ask")).unwrap();
    let ask = ask.replace("${quoted(username)}", "YOUR-USERNAME");
    let lines: Vec<_> = readme.lines().map(str::trim).collect();
    let place = |expected: &str| lines.iter().position(|line| line.starts_with(expected)).expect(expected);
    assert!(place("export PATH=\"$PWD/target/release:$PATH\"") < place("export HEARBACK_URL="));
    assert_eq!(lines[place("export HEARBACK_TOKEN=") + 1], ask);
}

/// The targets of the links of a Markdown text, without those in code.
fn links(text: &str) -> Vec<String> {
    let prose = text.lines().filter(|line| !line.starts_with("    ")).collect::<Vec<_>>().join("\n");
    let prose = prose.split('`').step_by(2).collect::<Vec<_>>().join("code");
    prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// The anchors of a Markdown text's headings, as forges make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    headings.map(anchor).collect()
}

fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && !NOT_OURS.contains(&name.as_str()) && !name.starts_with(".git") {
            markdown(&path, found);
        } else if is(&path, "md") {
            found.push(path);
        }
    }
}

#[test]
fn every_link_of_every_markdown_file_leads_somewhere() {
    let mut found = Vec::new();
    markdown(&path(""), &mut found);
    assert!(found.iter().any(|file| file.ends_with("docs/contract/README.md")), "{found:?}");
    let mut dead = Vec::new();
    for file in found {
        let text = fs::read_to_string(&file).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (target, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if target.is_empty() { file.clone() } else { file.parent().unwrap().join(target) };
            let known = || anchors(&fs::read_to_string(&target).unwrap_or_default());
            if !target.exists() || !anchor.is_empty() && !known().iter().any(|known| known == anchor) {
                dead.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
}
