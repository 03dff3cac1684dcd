//! Etags: a record's revision as 16 hex digits. Callers send them back unchanged.

use custodia_profile::Revision;

use super::ServiceError;

/// The etag of a revision.
pub(crate) fn etag(revision: Revision) -> String {
    format!("{:016x}", revision.as_u64())
}

/// The revision in the field `etag`; `None` if it is empty.
///
/// # Errors
/// The text is not an etag.
pub(crate) fn parse_etag(text: &str) -> Result<Option<Revision>, ServiceError> {
    if text.is_empty() {
        return Ok(None);
    }
    let malformed = || ServiceError::invalid("etag", "is not a valid etag");
    if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed());
    }
    u64::from_str_radix(text, 16)
        .map(|number| Some(Revision::from_u64(number)))
        .map_err(|_overflow| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_names_its_revision() {
        let revision = Revision::from_u64(0x1234_5678_9abc);
        assert_eq!(parse_etag(&etag(revision)).expect("parses"), Some(revision));
        assert_eq!(parse_etag("").expect("absent"), None);
        for wrong in ["7", "0000000000000zzz", "+000000000000001", "00000000000000001"] {
            assert!(parse_etag(wrong).is_err(), "{wrong}");
        }
    }
}
