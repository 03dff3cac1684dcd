//! Pages through every list in the same way.
//!
//! ```text
//! page token = hex of: listing (1 byte) ‖ position of the last entry of the page
//! ```
//!
//! A token grants nothing: it only says where to continue in what the call may see anyway. So it is validated but not
//! authenticated. Where a position tells more than the call may see, the list seals it before it makes the token (`ListEvents`).

use data_encoding::HEXLOWER_PERMISSIVE;

use super::{FieldFault, ServiceError};

/// The longest page token, in bytes of text.
const TOKEN_BYTES_MAX: usize = 512;

/// The bytes of a page's entries: a gRPC client takes answers of 4 MiB unless it is told otherwise.
const PAGE_BYTES_MAX: usize = 3 << 20;

/// The list that a page token belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Listing {
    Events = 1,
    Purposes = 2,
    Attributes = 3,
    Shards = 4,
    Jurisdictions = 5,
    Recipients = 6,
    Changes = 7,
    History = 8,
    Channels = 9,
    Namespaces = 10,
    Duplicates = 11,
    DuplicateScan = 12,
    IdentifierReport = 13,
    MatterTypes = 14,
    Traits = 15,
}

impl Listing {
    const fn tag(self) -> u8 {
        self as u8
    }
}

/// The number of entries of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageSize {
    /// If the caller does not say.
    pub(crate) default: usize,
    /// The maximum.
    pub(crate) max: usize,
}

impl PageSize {
    /// The size requested in the field `page_size`.
    pub(crate) fn parse(self, asked: i32) -> Result<usize, ServiceError> {
        match usize::try_from(asked) {
            Ok(0) => Ok(self.default),
            Ok(size) if size <= self.max => Ok(size),
            Ok(_) => Err(ServiceError::field("page_size", FieldFault::TooMany(self.max))),
            Err(_negative) => Err(ServiceError::invalid("page_size", "must not be negative")),
        }
    }
}

/// Fills a page: entries are offered in order until one does not fit.
#[derive(Debug)]
pub(crate) struct Pager {
    listing: Listing,
    entries_left: usize,
    bytes_left: usize,
    last: Option<Vec<u8>>,
    is_followed: bool,
}

impl Pager {
    /// An empty page of `listing`, of the size requested in the field `page_size`.
    pub(crate) fn new(listing: Listing, asked: i32, size: PageSize) -> Result<Self, ServiceError> {
        let entries_left = size.parse(asked)?;
        Ok(Self { listing, entries_left, bytes_left: usize::MAX, last: None, is_followed: false })
    }

    /// The page also ends before its entries exceed `bytes_left`, or what a stock client takes.
    #[must_use]
    pub(crate) fn within_bytes(self, bytes_left: usize) -> Self {
        Self { bytes_left: bytes_left.min(PAGE_BYTES_MAX), ..self }
    }

    /// How many entries to read for the rest of the page: one more than fit, to know whether there are more.
    pub(crate) const fn entries_wanted(&self) -> usize {
        self.entries_left.saturating_add(1)
    }

    /// Whether the next entry, at this position and of this size in bytes, fits on the page. The first always does. After
    /// one that does not, the page is complete.
    pub(crate) fn admits(&mut self, position: &[u8], bytes: usize) -> bool {
        if self.last.is_some() && (self.entries_left == 0 || bytes > self.bytes_left) {
            self.is_followed = true;
            return false;
        }
        self.last = Some(position.to_vec());
        self.entries_left = self.entries_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        true
    }

    /// The token of the next page; empty if there is none.
    pub(crate) fn next_page_token(self) -> String {
        let listing = self.listing;
        self.next_position().map(|position| page_token(listing, &position)).unwrap_or_default()
    }

    /// The position after which the next page starts, if there is one.
    pub(crate) fn next_position(self) -> Option<Vec<u8>> {
        self.last.filter(|_| self.is_followed)
    }
}

/// The token of the page that starts after this position.
pub(crate) fn page_token(listing: Listing, position: &[u8]) -> String {
    let token: Vec<u8> = std::iter::once(listing.tag()).chain(position.iter().copied()).collect();
    HEXLOWER_PERMISSIVE.encode(&token)
}

/// The error of a token that is none of this list.
pub(crate) fn foreign_page_token() -> ServiceError {
    ServiceError::invalid("page_token", "is not a page token of this list")
}

/// The position in the field `page_token`, after which the page starts; `None` if the field is empty.
///
/// # Errors
/// The token is malformed or belongs to another list.
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
    found.map(Some).ok_or_else(foreign_page_token)
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
    fn a_page_ends_at_its_size_or_byte_limit_and_its_token_continues_after_it() {
        assert_eq!(page(0, 100, 2), (vec![0, 1], String::new()), "the last page");
        for (asked, bytes, admitted) in [(0, 100, 2), (3, 100, 3), (3, 25, 2), (3, 5, 1)] {
            let (entries, token) = page(asked, bytes, 9);
            assert_eq!(entries.len(), admitted);
            assert_eq!(start(&token).expect("a token"), entries.last().copied());
        }
        assert_eq!(page(0, 100, 0), (Vec::new(), String::new()));
    }

    #[test]
    fn a_page_size_is_within_its_limit() {
        for (asked, fault) in
            [(4, FieldFault::TooMany(3)), (-1, FieldFault::Invalid("must not be negative".into()))]
        {
            let refused = Pager::new(Listing::Events, asked, SIZE).expect_err("refused");
            assert!(matches!(refused, ServiceError::Field { field, fault: found }
                if field == "page_size" && found == fault));
        }
    }

    #[test]
    fn a_page_token_is_valid_only_for_its_own_list() {
        let (_, token) = page(1, 100, 9);
        assert_eq!(start(&token).expect("parses"), Some(0));
        assert!(page_start(Listing::Purposes, &token, |_| Some(())).is_err());
        assert!(page_start(Listing::Events, &token, |_| None::<()>).is_err(), "not a position of this list");
        for wrong in ["x", "0", "é", &"0".repeat(TOKEN_BYTES_MAX + 2)] {
            assert!(start(wrong).is_err(), "{wrong}");
        }
        assert_eq!(start("").expect("the first page"), None);
    }
}
