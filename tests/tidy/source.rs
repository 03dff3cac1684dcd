//! The source files of the workspace, and their code without comments, texts and tests.

use std::fs;
use std::path::{Path, PathBuf};

/// One file, by its path from the root of the workspace.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_path_buf()
}

/// Every Rust file of the workspace.
pub(crate) fn sources() -> Vec<Source> {
    files(&["crates", "tests", "benches"], &["rs"])
}

/// Files below these folders with one of these extensions, in order. A build's output is no source.
pub(crate) fn files(folders: &[&str], extensions: &[&str]) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|it| extensions.iter().any(|wanted| it == *wanted)) {
                let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
                found.push(Source { name, text: fs::read_to_string(&path).expect("a source file is UTF-8") });
            }
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

/// The documents of the workspace.
pub(crate) fn documents() -> Vec<Source> {
    let mut found = files(&["docs", "cluster"], &["md"]);
    let text = fs::read_to_string(root().join("README.md")).expect("README.md is there");
    found.push(Source { name: "README.md".to_owned(), text });
    found
}

pub(crate) fn is_test_code(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("tests.rs") || name.starts_with("tests/")
}

/// The code of a file as it is built without tests. Comments and the content of texts are blank, so that every byte and
/// line stays where it was.
pub(crate) fn code_of(text: &str) -> String {
    let mut code = without_texts(text);
    while let Some(from) = code.find("#[cfg(test)]") {
        let end = from + item_length(&code[from..]);
        code = format!("{}{}{}", &code[..from], blank(&code[from..end]), &code[end..]);
    }
    code
}

/// The length of an item with its attributes: up to its `;` or the end of its block.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, character) in code.char_indices() {
        match character {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && character == '}' {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

fn blank(text: &str) -> String {
    text.chars().map(|character| if character == '\n' { '\n' } else { ' ' }).collect()
}

fn without_texts(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = text_length(rest);
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            // Two words around a text stay two words.
            code.push_str(&blank(&rest[..length]));
            rest = &rest[length..];
        }
    }
    code
}

/// The length of the comment, string or character with which the code begins; 0 where it begins with none.
fn text_length(code: &str) -> usize {
    if code.starts_with("//") {
        return code.find('\n').unwrap_or(code.len());
    }
    if code.starts_with("/*") {
        return code.find("*/").map_or(code.len(), |end| end + 2);
    }
    for hashes in ["", "#", "##"] {
        let (begin, end) = (format!("r{hashes}\""), format!("\"{hashes}"));
        if let Some(inside) = code.strip_prefix(begin.as_str()) {
            return inside.find(&end).map_or(code.len(), |at| begin.len() + at + end.len());
        }
    }
    if let Some(inside) = code.strip_prefix('\'').filter(|inside| inside.starts_with('\\')) {
        return 1 + closing(inside, '\'');
    }
    if code.starts_with('\'') {
        // A character, and no lifetime.
        let mut characters = code.chars().skip(1);
        let character = characters.next().map_or(0, char::len_utf8);
        return if characters.next() == Some('\'') { 2 + character } else { 0 };
    }
    code.strip_prefix('"').map_or(0, |inside| 1 + closing(inside, '"'))
}

/// Bytes up to the mark that ends a text, with it.
fn closing(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == mark {
            return at + character.len_utf8();
        }
    }
    text.len()
}

/// True where a phrase stands in a text with no letter, digit or `_` directly before or after it.
pub(crate) fn has_phrase(text: &str, phrase: &str) -> bool {
    let part_of_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

pub(crate) fn comments_texts_and_tests_are_no_code() {
    let text = "use a::b; // crate::x\nlet c = ['\"', '\\n', '\\'']; let d = \"crate::y\"; fn f<'a>() {}\n\
                #[cfg(test)]\nmod tests { use crate::z; }\nlet e = r#\"crate::\"w\"#;\n#[cfg(test)]\nuse crate::v;\n";
    let code = code_of(text);
    assert_eq!(code.len(), text.len());
    assert!(!code.contains("crate::"), "{code}");
    assert!(code.contains("use a::b;") && code.contains("fn f<'a>() {}"), "{code}");
}
