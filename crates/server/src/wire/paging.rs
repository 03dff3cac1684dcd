//! One way to page through every list.
//!
//! ```text
//! page token = hex of: listing (1 byte) ‖ position of the last entry of the page
//! ```
//!
//! A token carries no authority: it only says where to go on inside what the call may see anyway. So it is validated and not
//! authenticated.

use data_encoding::HEXLOWER_PERMISSIVE;

use super::{FieldFault, ServiceError};

/// The longest page token, in bytes of text.
const TOKEN_BYTES_MAX: usize = 512;

/// What a page token goes on in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
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

/// How many entries a page has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageSize {
    /// Where the caller does not say.
    pub(crate) default: usize,
    /// At most.
    pub(crate) max: usize,
}

impl PageSize {
    /// The size that the field `page_size` asks for.
    fn parse(self, asked: i32) -> Result<usize, ServiceError> {
        match usize::try_from(asked) {
            Ok(0) => Ok(self.default),
            Ok(size) if size <= self.max => Ok(size),
            Ok(_) => Err(ServiceError::field("page_size", FieldFault::TooMany(self.max))),
            Err(_negative) => Err(ServiceError::invalid("page_size", "is negative")),
        }
    }
}

/// A page as it is filled: entries are offered in order until one does not fit.
#[derive(Debug)]
pub(crate) struct Pager {
    listing: Listing,
    entries_left: usize,
    bytes_left: usize,
    last: Option<Vec<u8>>,
    next_page_token: String,
}

impl Pager {
    /// An empty page of `listing`, of the size that the field `page_size` asks for.
    pub(crate) fn new(listing: Listing, asked: i32, size: PageSize) -> Result<Self, ServiceError> {
        let entries_left = size.parse(asked)?;
        Ok(Self { listing, entries_left, bytes_left: usize::MAX, last: None, next_page_token: String::new() })
    }

    /// A page that ends early where it would grow beyond so many bytes.
    #[must_use]
    pub(crate) fn within_bytes(self, bytes_left: usize) -> Self {
        Self { bytes_left, ..self }
    }

    /// How many entries may be read for the rest of the page: one more than fit, to know whether there are more.
    pub(crate) const fn entries_wanted(&self) -> usize {
        self.entries_left.saturating_add(1)
    }

    /// Whether the next entry, at this position and of so many bytes, comes onto the page; the first always does. Once one
    /// does not, the page is over.
    pub(crate) fn admits(&mut self, position: &[u8], bytes: usize) -> bool {
        if let Some(last) = &self.last
            && (self.entries_left == 0 || bytes > self.bytes_left)
        {
            let token: Vec<u8> = std::iter::once(self.listing.tag()).chain(last.iter().copied()).collect();
            self.next_page_token = HEXLOWER_PERMISSIVE.encode(&token);
            return false;
        }
        self.last = Some(position.to_vec());
        self.entries_left = self.entries_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        true
    }

    /// The token of the next page; empty where there is none.
    pub(crate) fn next_page_token(self) -> String {
        self.next_page_token
    }
}

/// The position behind which the field `page_token` goes on; `None` where it is empty.
pub(crate) fn page_start<P>(
    listing: Listing,
    token: &str,
    position: impl FnOnce(&[u8]) -> Option<P>,
) -> Result<Option<P>, ServiceError> {
    if token.is_empty() {
        return Ok(None);
    }
    let fits = token.len() <= TOKEN_BYTES_MAX;
    let bytes = fits.then(|| HEXLOWER_PERMISSIVE.decode(token.as_bytes()).ok()).flatten();
    let found = match bytes.as_deref() {
        Some([tag, rest @ ..]) if *tag == listing.tag() => position(rest),
        Some(_) | None => None,
    };
    found.map(Some).ok_or_else(|| ServiceError::invalid("page_token", "is not a token of this list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: PageSize = PageSize { default: 2, max: 3 };

    fn page(asked: i32, bytes: usize, entries: u8) -> (Vec<u8>, String) {
        let mut pager = Pager::new(Listing::Events, asked, SIZE).expect("a size").within_bytes(bytes);
        let admitted: Vec<u8> = (0..entries).take_while(|entry| pager.admits(&[*entry], 10)).collect();
        (admitted, pager.next_page_token())
    }

    fn start(token: &str) -> Result<Option<u8>, ServiceError> {
        page_start(Listing::Events, token, |position| position.first().copied())
    }

    #[test]
    fn a_page_ends_with_its_size_or_its_bytes_and_its_token_goes_on_behind_it() {
        assert_eq!(page(0, 100, 2), (vec![0, 1], String::new()), "there are no more");
        for (asked, bytes, admitted) in [(0, 100, 2), (3, 100, 3), (3, 25, 2), (3, 5, 1)] {
            let (entries, token) = page(asked, bytes, 9);
            assert_eq!(entries.len(), admitted);
            assert_eq!(start(&token).expect("a token"), entries.last().copied());
        }
        assert_eq!(page(0, 100, 0), (Vec::new(), String::new()));
    }

    #[test]
    fn a_page_size_is_within_its_limit() {
        for (asked, fault) in [(4, FieldFault::TooMany(3)), (-1, FieldFault::Invalid("is negative".into()))] {
            let refused = Pager::new(Listing::Events, asked, SIZE).expect_err("refused");
            assert!(matches!(refused, ServiceError::Field { field, fault: found }
                if field == "page_size" && found == fault));
        }
    }

    #[test]
    fn a_page_token_goes_on_in_its_own_list_alone() {
        let (_, token) = page(1, 100, 9);
        assert_eq!(start(&token).expect("parses"), Some(0));
        assert!(page_start(Listing::Purposes, &token, |_| Some(())).is_err());
        assert!(page_start(Listing::Events, &token, |_| None::<()>).is_err(), "no position of this list");
        for wrong in ["x", "0", "é", &"0".repeat(TOKEN_BYTES_MAX + 2)] {
            assert!(start(wrong).is_err(), "{wrong}");
        }
        assert_eq!(start("").expect("the first page"), None);
    }
}
