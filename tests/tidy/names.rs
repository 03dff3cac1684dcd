//! One vocabulary: the words that gave way to the field's own stay away, in names of files, types and functions, and in
//! texts. Words that are also plain English (turn, place, carry) are banned only where they cannot be that.

use crate::source::{code_of, documents, files, has_phrase, sources};

/// Names that mean one thing alone, in any file.
const BANNED_WORDS: &[&str] = &[
    "TurnKeys",
    "TurnKeysRequest",
    "TurnKeysResponse",
    "turn_keys",
    "keys_turned",
    "is_turning",
    "resume_turns",
    "NewCalls",
    "Gathering",
    "PassedBarrier",
];

/// Names of types, with the crate in which they are banned.
const BANNED_TYPES: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "Room",
            "Home",
            "Terms",
            "Draft",
            "Question",
            "Fate",
            "Spool",
            "Repetition",
            "Outage",
            "Lane",
            "Word",
            "Carried",
            "Filling",
            "Turned",
        ],
    ),
    ("crates/server/", &["Seen", "Change", "At"]),
    ("crates/client/", &["Plan"]),
];

const BANNED_FUNCTIONS: &[&str] = &["bring", "stand", "spool", "shield", "carry"];

/// Names of files, without `.rs` and `_tests`.
const BANNED_FILES: &[&str] = &[
    "turn",
    "turns",
    "turning",
    "turn_customer",
    "room",
    "passed",
    "in_flight",
    "spool",
    "shield",
    "opaque",
    "lane",
    "words",
    "outage",
    "filling",
    "carry",
];

/// Phrases that read as translated, and the banned words where prose uses them, in lower case.
const BANNED_PHRASES: &[&str] = &[
    "turn key",
    "turn keys",
    "turning key",
    "turning keys",
    "turned keys",
    "keys turn",
    "keys are turned",
    "turn of keys",
    "turn the key",
    "turn the keys",
    "what is refused is said",
    "is not heard",
    "not to be had",
    "led by whom",
    "returns well",
];

/// True for the files that must name what is banned.
fn is_exempt(name: &str) -> bool {
    name.starts_with("tests/tidy/") || name == "docs/glossary.md"
}

pub(crate) fn banned_names_are_gone() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !is_exempt(&source.name)) {
        let file = source.name.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        if BANNED_FILES.contains(&file.trim_end_matches("_tests")) {
            found.push(format!("{}: the file's name", source.name));
        }
        let code = code_of(&source.text);
        for (folder, names) in BANNED_TYPES {
            for name in names.iter().filter(|_| source.name.starts_with(folder)) {
                if ["struct", "enum", "trait", "type"]
                    .iter()
                    .any(|kind| has_phrase(&code, &format!("{kind} {name}")))
                {
                    found.push(format!("{}: the type {name}", source.name));
                }
            }
        }
        for name in BANNED_FUNCTIONS.iter().filter(|name| has_phrase(&code, &format!("fn {name}"))) {
            found.push(format!("{}: the function {name}", source.name));
        }
    }
    assert!(
        found.is_empty(),
        "the vocabulary table of docs/glossary.md has other names:\n{}",
        found.join("\n")
    );
}

pub(crate) fn banned_words_are_gone_from_code_and_texts() {
    let mut found = Vec::new();
    let folders = ["crates", "tests", "benches", "proto", "cluster"];
    let mut texts = files(&folders, &["rs", "proto", "toml"]);
    texts.extend(documents());
    texts.retain(|text| !is_exempt(&text.name));
    for source in texts {
        for (number, line) in (1..).zip(source.text.lines()) {
            let lower = line.to_lowercase();
            let words = BANNED_WORDS.iter().filter(|word| has_phrase(line, word));
            let phrases = BANNED_PHRASES.iter().filter(|phrase| has_phrase(&lower, phrase));
            found.extend(words.chain(phrases).map(|banned| format!("{}:{number}: {banned}", source.name)));
        }
    }
    assert!(found.is_empty(), "banned words:\n{}", found.join("\n"));
}
