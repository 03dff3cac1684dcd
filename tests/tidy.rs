//! Style and structure as ordinary tests: a rule without a check is a wish.
//!
//! Holds the dependency edges of docs/ARCHITECTURE.md, the sole users of the sharp tools, the lint tables and the
//! length ratchet.
#![expect(clippy::expect_used, reason = "a test that cannot go on says why and stops")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines that a source file may have.
const FILE_LINES_MAX: usize = 500;

/// Files that are longer, with the length they had when the ratchet was last turned. A number may shrink, and a row
/// may go; no row is added and none grows.
const LONG_FILES: &[(&str, usize)] = &[];

/// Allowed edges between the workspace's crates: a crate may depend on those named, no others.
const EDGES: &[(&str, &[&str])] = &[
    ("custodia-profile", &[]),
    ("custodia-proto", &[]),
    ("custodia-seal", &["custodia-profile"]),
    ("custodia-store", &["custodia-profile"]),
    ("custodia-consensus", &["custodia-profile", "custodia-seal", "custodia-store"]),
    ("custodia-client", &["custodia-profile", "custodia-proto"]),
    (
        "custodia-server",
        &["custodia-profile", "custodia-seal", "custodia-store", "custodia-consensus", "custodia-proto"],
    ),
    ("custodia", &["custodia-profile", "custodia-proto", "custodia-client", "custodia-server"]),
    ("custodia-tests", &["custodia-proto", "custodia-client"]),
    ("custodia-benches", &["custodia-proto", "custodia-client", "custodia-tests"]),
];

/// Third-party crates that one room alone may use directly.
const SOLE_USERS: &[(&str, &str)] = &[
    ("aws-lc-rs", "custodia-seal"),
    ("openraft", "custodia-consensus"),
    ("openraft-rt", "custodia-consensus"),
    ("openraft-rt-tokio", "custodia-consensus"),
    ("raft-engine", "custodia-store"),
    ("fjall", "custodia-store"),
    ("sled", "custodia-store"),
    ("tonic-health", "custodia-server"),
    ("tonic-reflection", "custodia-server"),
    ("tokio-rustls", "custodia-server"),
];

/// Words in code that one room alone may use, and the folders in which they may stand.
const SOLE_WORDS: &[(&str, &[&str])] = &[
    ("fs::write", &["crates/store/", "crates/cli/", "tests/", "benches/", "crates/proto/build.rs"]),
    ("File::create", &["crates/store/", "crates/cli/", "tests/", "benches/"]),
    ("OpenOptions", &["crates/store/", "crates/cli/", "tests/", "benches/"]),
    ("transport::Server", &["crates/server/", "benches/"]),
    ("SystemTime::now", &["crates/server/", "crates/client/", "crates/cli/", "tests/", "benches/"]),
];

/// Crates whose code reads no clock, disk, network or randomness at all.
const PURE: &[&str] = &["crates/profile/src/"];
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_path_buf()
}

fn metadata() -> cargo_metadata::Metadata {
    cargo_metadata::MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".into()])
        .exec()
        .expect("cargo metadata runs")
}

fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("tests"), root.join("benches")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).expect("a source file is UTF-8")));
            }
        }
    }
    found.sort();
    found
}

/// The part of a file before its unit tests, without comments.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test_code(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("tests.rs") || name.starts_with("tests/")
}

#[test]
fn crates_depend_only_along_the_allowed_edges() {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let metadata = metadata();
    let names: BTreeSet<String> = metadata.packages.iter().map(|package| package.name.to_string()).collect();
    assert_eq!(names.iter().map(String::as_str).collect::<BTreeSet<_>>(), allowed.keys().copied().collect());
    for package in &metadata.packages {
        let edges = allowed[package.name.as_str()];
        for dependency in &package.dependencies {
            let inside = names.contains(&dependency.name);
            let development = dependency.kind == cargo_metadata::DependencyKind::Development;
            if inside && !development {
                assert!(
                    edges.contains(&dependency.name.as_str()),
                    "{} must not depend on {}",
                    package.name,
                    dependency.name
                );
            }
        }
    }
}

#[test]
fn sharp_tools_have_one_user() {
    let sole: BTreeMap<&str, &str> = SOLE_USERS.iter().copied().collect();
    for package in &metadata().packages {
        for dependency in &package.dependencies {
            if dependency.kind == cargo_metadata::DependencyKind::Development {
                continue;
            }
            if let Some(user) = sole.get(dependency.name.as_str()) {
                assert_eq!(package.name.as_str(), *user, "{} belongs to {user} alone", dependency.name);
            }
        }
    }
}

#[test]
fn sharp_words_stand_only_in_their_rooms() {
    for (name, text) in sources().iter().filter(|(name, _)| !is_test_code(name)) {
        let code = code_of(text);
        for (word, rooms) in SOLE_WORDS {
            let here = rooms.iter().any(|room| name.starts_with(room));
            assert!(here || !code.contains(word), "{name} uses `{word}`, which belongs to {rooms:?}");
        }
    }
}

#[test]
fn the_law_is_pure() {
    for (name, text) in sources() {
        if PURE.iter().any(|room| name.starts_with(room)) && !is_test_code(&name) {
            let code = code_of(&text);
            for word in IMPURE_WORDS {
                assert!(!code.contains(word), "{name} uses `{word}`; profile is pure");
            }
        }
    }
}

#[test]
fn every_package_takes_the_workspace_lints() {
    for package in &metadata().packages {
        let manifest = fs::read_to_string(&package.manifest_path).expect("a manifest can be read");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} lacks [lints] workspace = true",
            package.name
        );
    }
}

#[test]
fn dependency_versions_stand_in_the_workspace_manifest() {
    for package in &metadata().packages {
        let manifest = fs::read_to_string(&package.manifest_path).expect("a manifest can be read");
        let parsed: toml::Table = manifest.parse().expect("a manifest is TOML");
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = parsed.get(section).and_then(toml::Value::as_table) else { continue };
            for (name, value) in dependencies {
                let inherits = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(inherits, "{}: {name} does not inherit its version", package.name);
            }
        }
    }
}

#[test]
fn files_stay_short() {
    let ratchet: BTreeMap<&str, usize> = LONG_FILES.iter().copied().collect();
    for (name, text) in sources() {
        let lines = text.lines().count();
        match ratchet.get(name.as_str()) {
            None => assert!(lines <= FILE_LINES_MAX, "{name} has {lines} lines, more than {FILE_LINES_MAX}"),
            Some(&was) => {
                assert!(lines <= was, "{name} grew from {was} to {lines} lines");
                assert!(lines > FILE_LINES_MAX, "{name} is short now: take its row out of LONG_FILES");
                assert!(lines == was, "{name} shrank to {lines} lines: turn the ratchet down from {was}");
            }
        }
    }
    for (name, _) in LONG_FILES {
        assert!(root().join(name).exists(), "{name} is gone: take its row out of LONG_FILES");
    }
}

#[test]
fn every_source_file_says_what_it_owns() {
    for (name, text) in sources() {
        assert!(text.starts_with("//!"), "{name} does not begin with what it owns");
    }
}

#[test]
fn lints_are_expected_with_a_reason_never_allowed() {
    let allow = ["#[", "allow("].concat();
    let allow_inner = ["#![", "allow("].concat();
    for (name, text) in sources() {
        assert!(
            !text.contains(&allow) && !text.contains(&allow_inner),
            "{name} allows a lint; use expect with a reason"
        );
    }
}

#[test]
fn nothing_is_left_to_do_in_silence() {
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["#[ig", "nore"].concat()];
    for (name, text) in sources() {
        for word in &words {
            assert!(!text.contains(word.as_str()), "{name} contains {word}");
        }
    }
}
