//! The source files: what they may use, how long they are, how they begin, and how many share a folder.

use std::collections::BTreeMap;

use crate::source::{Source, code_of, is_test_code, root, sources};

/// Lines that a source file may have.
const FILE_LINES_MAX: usize = 500;

/// Files that are longer, with the length they had when the ratchet was last lowered. A number may shrink, and a row
/// may go; no row is added and none grows.
const LONG_FILES: &[(&str, usize)] = &[];

/// Rust files that a folder below `src/` may have. A folder of integration tests may have more: its files are independent.
const FOLDER_FILES_MAX: usize = 20;

/// Words in code, and the only folders in which they may stand.
const SOLE_WORDS: &[(&str, &[&str])] = &[
    ("fs::write", &["crates/store/", "crates/cli/", "tests/", "benches/", "crates/proto/build/"]),
    ("File::create", &["crates/store/", "crates/cli/", "tests/", "benches/"]),
    ("OpenOptions", &["crates/store/", "crates/cli/", "tests/", "benches/"]),
    ("env::var", &["crates/cli/", "tests/", "benches/", "crates/proto/build/"]),
    ("transport::Server", &["crates/server/", "benches/"]),
    ("SystemTime::now", &["crates/server/", "crates/client/", "crates/cli/", "tests/", "benches/"]),
];

/// Crates whose code reads no clock, disk, network or randomness at all.
const PURE: &[&str] = &["crates/profile/src/", "crates/linkage/src/"];
const IMPURE_WORDS: &[&str] = &[
    "std::fs",
    "std::net",
    "std::time::Instant",
    "SystemTime",
    "tokio",
    "new_v4",
    "now_v7",
    "rand::",
    "std::env",
    "async fn",
];

pub(crate) fn sharp_words_stand_only_in_their_folders() {
    for Source { name, text } in sources().iter().filter(|source| !is_test_code(&source.name)) {
        let code = code_of(text);
        for (word, folders) in SOLE_WORDS {
            let here = folders.iter().any(|folder| name.starts_with(folder));
            assert!(here || !code.contains(word), "{name} uses `{word}`, which belongs to {folders:?}");
        }
    }
}

pub(crate) fn the_law_is_pure() {
    for Source { name, text } in sources() {
        if PURE.iter().any(|folder| name.starts_with(folder)) && !is_test_code(&name) {
            let code = code_of(&text);
            for word in IMPURE_WORDS {
                assert!(!code.contains(word), "{name} uses `{word}`; its crate is pure");
            }
        }
    }
}

pub(crate) fn files_stay_short() {
    let ratchet: BTreeMap<&str, usize> = LONG_FILES.iter().copied().collect();
    for Source { name, text } in sources() {
        let lines = text.lines().count();
        match ratchet.get(name.as_str()) {
            None => assert!(lines <= FILE_LINES_MAX, "{name} has {lines} lines, more than {FILE_LINES_MAX}"),
            Some(&was) => {
                assert!(lines <= was, "{name} grew from {was} to {lines} lines");
                assert!(lines > FILE_LINES_MAX, "{name} is short now: take its row out of LONG_FILES");
                assert!(lines == was, "{name} shrank to {lines} lines: lower the ratchet from {was}");
            }
        }
    }
    for (name, _) in LONG_FILES {
        assert!(root().join(name).exists(), "{name} is gone: take its row out of LONG_FILES");
    }
}

pub(crate) fn every_source_file_says_what_it_owns() {
    for Source { name, text } in sources() {
        assert!(text.starts_with("//!"), "{name} does not begin with what it owns");
    }
}

pub(crate) fn lints_are_expected_with_a_reason_never_allowed() {
    let allow = ["#[", "allow("].concat();
    let allow_inner = ["#![", "allow("].concat();
    for Source { name, text } in sources() {
        assert!(
            !text.contains(&allow) && !text.contains(&allow_inner),
            "{name} allows a lint; use expect with a reason"
        );
    }
}

pub(crate) fn nothing_is_left_to_do_in_silence() {
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["#[ig", "nore"].concat()];
    for Source { name, text } in sources() {
        for word in &words {
            assert!(!text.contains(word.as_str()), "{name} contains {word}");
        }
    }
}

pub(crate) fn folders_stay_small() {
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    for Source { name, .. } in sources().into_iter().filter(|source| source.name.contains("/src/")) {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        *folders.entry(folder.to_owned()).or_default() += 1;
    }
    folders.retain(|_, files| *files > FOLDER_FILES_MAX);
    assert!(folders.is_empty(), "more than {FOLDER_FILES_MAX} source files in {folders:?}");
}
