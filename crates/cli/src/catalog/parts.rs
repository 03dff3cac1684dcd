//! A text of several parts on the command line: `HEAD,key=value,flag`.

/// The head, and the parts behind it: a key each, with a value where there is one.
pub(crate) fn parts(text: &str) -> (&str, Vec<(&str, Option<&str>)>) {
    let mut parts = text.split(',').map(str::trim);
    let head = parts.next().unwrap_or_default();
    (head, parts.map(key_and_value).collect())
}

fn key_and_value(part: &str) -> (&str, Option<&str>) {
    match part.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (part, None),
    }
}
