//! Texts that callers hand back unread: etags and page tokens.
//!
//! ```text
//! etag        16 hex digits: the revision
//! page token  hex of: kind(1) ‖ where the last page ended
//! ```
//!
//! A token carries no authority: it only says where to go on inside what the call may see anyway, so it is
//! validated and not authenticated.

use custodia_profile::Revision;

use super::error::ServiceError;

/// The longest page token, in bytes of text.
const TOKEN_BYTES_MAX: usize = 512;

/// What a page token goes on in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    Events,
    Purposes,
    Attributes,
    Shards,
    Jurisdictions,
    Recipients,
    Changes,
    History,
}

impl Listing {
    const fn tag(self) -> u8 {
        match self {
            Self::Events => 1,
            Self::Purposes => 2,
            Self::Attributes => 3,
            Self::Shards => 4,
            Self::Jurisdictions => 5,
            Self::Recipients => 6,
            Self::Changes => 7,
            Self::History => 8,
        }
    }
}

/// The etag of a revision.
pub(super) fn etag(revision: Revision) -> String {
    format!("{:016x}", revision.as_u64())
}

/// The revision that the field `etag` names; `None` where it is empty.
pub(super) fn parse_etag(text: &str) -> Result<Option<Revision>, ServiceError> {
    if text.is_empty() {
        return Ok(None);
    }
    let malformed = || ServiceError::invalid("etag", "is not an etag of this cluster");
    if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed());
    }
    u64::from_str_radix(text, 16)
        .map(|number| Some(Revision::from_u64(number)))
        .map_err(|_overflow| malformed())
}

/// The token that goes on behind `place`.
pub(super) fn page_token(listing: Listing, place: &[u8]) -> String {
    hex(std::iter::once(listing.tag()).chain(place.iter().copied()))
}

/// The place behind which the field `page_token` goes on; `None` where it is empty.
pub(super) fn parse_page_token(listing: Listing, text: &str) -> Result<Option<Vec<u8>>, ServiceError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = if text.len() <= TOKEN_BYTES_MAX { unhex(text) } else { None };
    match bytes.as_deref() {
        Some([tag, place @ ..]) if *tag == listing.tag() => Ok(Some(place.to_vec())),
        Some(_) | None => Err(ServiceError::invalid("page_token", "is not a token of this list")),
    }
}

/// Lower-case hex digits.
pub(super) fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes
        .into_iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|nibble| char::from_digit(nibble.into(), 16))
        .collect()
}

/// The bytes that hex digits name.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().map(hex_digit).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
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

    #[test]
    fn a_page_token_goes_on_in_its_own_list_alone() {
        let token = page_token(Listing::Events, &[0, 255, 7]);
        assert_eq!(parse_page_token(Listing::Events, &token).expect("parses"), Some(vec![0, 255, 7]));
        assert!(parse_page_token(Listing::Purposes, &token).is_err());
        for wrong in ["x", "0", "é", &"0".repeat(TOKEN_BYTES_MAX + 2)] {
            assert!(parse_page_token(Listing::Events, wrong).is_err(), "{wrong}");
        }
    }
}
