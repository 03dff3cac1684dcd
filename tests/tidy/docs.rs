//! The documents are short and name only what exists.

use std::collections::BTreeSet;
use std::fs;

use crate::source::{documents, files, root};

/// Lines that the map may have.
const MAP_LINES_MAX: usize = 200;

/// Folders with which a path of the repository begins. Paths below `crates/` may leave that out.
const TOP_FOLDERS: &[&str] = &["crates", "tests", "docs", "proto", "benches", "cluster", ".ci"];

pub(crate) fn the_map_is_short() {
    let lines =
        fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("the map is there").lines().count();
    assert!(
        lines < MAP_LINES_MAX,
        "docs/ARCHITECTURE.md has {lines} lines: details belong to the heads of the files"
    );
}

/// The words between backticks, outside of blocks of code.
fn quoted(text: &str) -> Vec<&str> {
    let outside = text.split("\n```").step_by(2);
    outside.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

/// What is wrong with a quoted word that looks like a path: `None` where it exists, or is no path.
fn missing(word: &str, crates: &[String], file_names: &BTreeSet<&str>) -> Option<String> {
    let is_path =
        word.chars().all(|it| it.is_ascii_alphanumeric() || "_-./".contains(it)) && !word.contains("..");
    if !is_path {
        return None;
    }
    let Some((first, _)) = word.split_once('/') else {
        let known = !word.ends_with(".rs") || file_names.contains(word);
        return (!known).then(|| format!("no file has the name {word}"));
    };
    let below_crates = crates.iter().any(|name| name == first) && word.contains("/src");
    let path = match (TOP_FOLDERS.contains(&first), below_crates) {
        (true, _) => root().join(word),
        (false, true) => root().join("crates").join(word),
        (false, false) => return None,
    };
    (!path.exists()).then(|| format!("{word} does not exist"))
}

pub(crate) fn every_file_that_a_document_names_exists() {
    let crates: Vec<String> = fs::read_dir(root().join("crates"))
        .expect("the crates can be listed")
        .map(|entry| entry.expect("an entry can be read").file_name().to_string_lossy().into_owned())
        .collect();
    let sources = files(&["crates", "tests", "benches"], &["rs"]);
    let file_names =
        sources.iter().map(|source| source.name.rsplit('/').next().unwrap_or_default()).collect();
    let documents = documents();
    assert!(documents.len() > 3, "the documents are there");
    let mut found = Vec::new();
    for document in &documents {
        let faults =
            quoted(&document.text).into_iter().filter_map(|word| missing(word, &crates, &file_names));
        found.extend(faults.map(|fault| format!("{}: {fault}", document.name)));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

pub(crate) fn a_missing_file_is_found() {
    let crates = ["server".to_owned()];
    let names = BTreeSet::from(["known.rs"]);
    for word in
        ["crates/server/src/lib.rs", "server/src/lib.rs", "known.rs", "custodia/v1", "N/A", "docs/", "a b/c"]
    {
        assert_eq!(missing(word, &crates, &names), None);
    }
    for word in ["crates/server/src/nothing.rs", "server/src/nothing.rs", "unknown.rs", "docs/nothing.md"] {
        assert!(missing(word, &crates, &names).is_some(), "{word}");
    }
    assert_eq!(quoted("a `b` c\n```\n`d`\n```\n`e`"), ["b", "e"]);
}
