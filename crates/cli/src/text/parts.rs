//! Options with several parts: `HEAD,key=value,flag`.

/// The head, and the keys after it with their values, if any.
pub(crate) fn parts<'t>(text: &'t str) -> (&'t str, Vec<(&'t str, Option<&'t str>)>) {
    let mut parts = text.split(',').map(str::trim);
    let head = parts.next().unwrap_or_default();
    let key_and_value =
        |part: &'t str| part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value)));
    (head, parts.map(key_and_value).collect())
}
