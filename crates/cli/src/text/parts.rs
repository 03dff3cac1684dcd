//! Options with several parts: `HEAD,key=value,flag`. Always: a key is there once, unless it may be repeated.

use std::collections::BTreeSet;

/// The head, and the keys after it with their values, if any.
pub(crate) type Parts<'t> = (&'t str, Vec<(&'t str, Option<&'t str>)>);

/// Splits an option. An error names a key that is there twice and is not among those that may be `repeated`.
pub(crate) fn parts<'t>(text: &'t str, repeated: &[&str]) -> Result<Parts<'t>, String> {
    let mut parts = text.split(',').map(str::trim);
    let head = parts.next().unwrap_or_default();
    let key_and_value =
        |part: &'t str| part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value)));
    let parts: Vec<_> = parts.map(key_and_value).collect();
    let mut known = BTreeSet::new();
    match parts.iter().find(|(key, _)| !known.insert(*key) && !repeated.contains(key)) {
        Some((key, _)) => Err(format!("has `{key}` twice")),
        None => Ok((head, parts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_there_once_unless_it_may_be_repeated() {
        assert_eq!(parts("v1,asks-again,language=de", &[]).unwrap().1.len(), 2);
        assert_eq!(parts("v1,language=de,language=en", &[]), Err("has `language` twice".into()));
        assert_eq!(parts("22:00-06:00,day=monday,day=friday", &["day"]).unwrap().1.len(), 2);
    }
}
