//! How an identifier is shown to those who need not have it.

use custodia_profile::NamespaceKind;

/// Enough for a person to check what somebody says, and not enough to write it down: the domain of an e-mail address and the first
/// letter before it; of anything else the last digits or letters, a quarter and four at most.
pub(crate) fn masked(value: &str, kind: Option<NamespaceKind>) -> String {
    if let (Some(NamespaceKind::Email), Some((local, domain))) = (kind, value.split_once('@')) {
        let first: String = local.chars().take(1).collect();
        return format!("{first}…@{domain}");
    }
    let length = value.chars().count();
    let shown = (length / 4).min(4);
    let last: String = value.chars().skip(length - shown).collect();
    format!("…{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_identifier_shows_a_quarter_at_most() {
        let (email, phone) = (Some(NamespaceKind::Email), Some(NamespaceKind::Phone));
        assert_eq!(masked("ana@example.org", email), "a…@example.org");
        assert_eq!(masked("+4930123456", phone), "…56");
        assert_eq!(masked("4006381333931", None), "…931");
        assert_eq!(masked("0123456789abcdef0123456789abcdef", None), "…cdef");
        assert_eq!(masked("äöü", None), "…");
    }
}
