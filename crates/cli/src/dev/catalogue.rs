//! The sample catalogue: eight purposes and seventeen attributes of a shop with a call centre, and the two applications
//! for which `dev` creates certificates. The data is in `catalogue.toml`.

use crate::catalog::{CatalogueFile, Entries};
use crate::error::CliError;

/// The version of the notice for the sample's consents.
pub(crate) const NOTICE: &str = "2026-01";

/// The sample's entries. Never fails: the file is part of the binary, and a test parses it.
pub(crate) fn entries() -> Result<Entries, CliError> {
    let file: Result<CatalogueFile, _> = toml::from_str(include_str!("catalogue.toml"));
    let entries = file.map_err(|error| error.to_string()).and_then(|file| file.entries());
    entries.map_err(CliError::content("catalogue.toml"))
}

#[cfg(test)]
mod tests {
    use custodia_proto::v1;

    use super::*;

    #[test]
    fn every_purpose_that_is_referred_to_exists() {
        let entries = entries().unwrap();
        assert_eq!((entries.purposes.len(), entries.attributes.len()), (8, 17));
        let ids: Vec<_> = entries.purposes.iter().map(|purpose| &purpose.id).collect();
        let attributes = entries.attributes.iter().map(|one| (&one.name, &one.purposes));
        let recipients = entries.recipients.iter().map(|one| (&one.id, &one.purposes));
        let matters = entries.matter_types.iter().map(|one| (&one.id, &one.purposes));
        let traits = entries.traits.iter().map(|one| (&one.id, &one.purposes));
        for (name, purposes) in attributes.chain(recipients).chain(matters).chain(traits) {
            assert!(!purposes.is_empty(), "{name}");
            for purpose in purposes {
                assert!(ids.contains(&purpose), "{name}: {purpose}");
            }
        }
    }

    #[test]
    fn each_basis_has_the_fields_that_it_requires() {
        for purpose in entries().unwrap().purposes {
            let has = |basis: v1::LawfulBasis| purpose.lawful_bases.contains(&basis.into());
            assert_eq!(has(v1::LawfulBasis::Consent), !purpose.notices.is_empty(), "{}", purpose.id);
            assert_eq!(has(v1::LawfulBasis::LegalObligation), !purpose.law.is_empty(), "{}", purpose.id);
            let is_balanced = purpose.balancing_test.is_some();
            assert_eq!(has(v1::LawfulBasis::LegitimateInterests), is_balanced, "{}", purpose.id);
            assert!(purpose.notices.iter().all(|notice| notice.version == NOTICE));
        }
    }
}
