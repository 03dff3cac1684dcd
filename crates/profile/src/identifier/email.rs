//! Owns the normal form of mail addresses, RFC 5321 and RFC 6531. Always: `local@domain`, in lower case, the local part a
//! dot-atom in Normalization Form C, the domain in ASCII as UTS 46 maps it.
//!
//! The local part is lower-cased, though RFC 5321 §2.4 lets the receiving host tell `A` from `a`: no provider of note does,
//! and people write their own address in both ways. A quoted local part (`"john doe"@example.com`), an IP address in the
//! place of a domain, a comment and a domain of one label are refused: customers have none, and mistakes look like them.

use std::collections::BTreeSet;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::characters::{is_hidden, is_unbroken, lower_case};

/// Bytes of a local part, RFC 5321 §4.5.3.1.1.
const LOCAL_BYTES_MAX: usize = 64;
/// Bytes of an address: a path of 256 without its brackets, RFC 5321 §4.5.3.1.3.
const ADDRESS_BYTES_MAX: usize = 254;
/// The printable characters of an atom besides letters and digits, RFC 5322 §3.2.3.
const ATOM_SIGNS: &str = "!#$%&'*+-/=?^_`{|}~";

/// The rules of mail providers that a namespace applies.
#[derive(Debug, Clone, Default)]
pub(crate) struct EmailRules {
    /// Whether what follows a plus sign in the local part is cut off.
    pub(crate) ignore_plus_tag: bool,
    /// Domains, in normal form, whose local parts ignore dots.
    pub(crate) ignore_dots_of: BTreeSet<String>,
}

impl EmailRules {
    pub(super) fn normalise(&self, text: &str) -> Option<String> {
        let (local, domain) = text.rsplit_once('@')?;
        let domain = normal_domain(domain)?;
        let local = lower_case(local);
        if local.len() > LOCAL_BYTES_MAX || !is_dot_atom(&local) {
            return None;
        }
        let local = self.mailbox(&local, &domain);
        let address = format!("{local}@{domain}");
        (address.len() <= ADDRESS_BYTES_MAX).then_some(address)
    }

    /// The local part that the provider delivers to.
    fn mailbox(&self, local: &str, domain: &str) -> String {
        let local = match local.split_once('+') {
            // What is left of `a.+tag` must be a dot-atom.
            Some((mailbox, _)) if self.ignore_plus_tag && !mailbox.is_empty() => {
                mailbox.trim_end_matches('.')
            }
            Some(_) | None => local,
        };
        if self.ignore_dots_of.contains(domain) { local.replace('.', "") } else { local.to_owned() }
    }
}

/// The ASCII form of a mail domain of two labels or more.
pub(crate) fn normal_domain(domain: &str) -> Option<String> {
    if !is_unbroken(domain) {
        return None;
    }
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .ok()?;
    let (_, top) = ascii.rsplit_once('.')?;
    (!top.bytes().all(|byte| byte.is_ascii_digit())).then(|| ascii.into_owned())
}

fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_character))
}

fn is_atom_character(character: char) -> bool {
    if character.is_ascii() {
        character.is_ascii_alphanumeric() || ATOM_SIGNS.contains(character)
    } else {
        !character.is_whitespace() && !is_hidden(character)
    }
}
