//! The terms of the vocabulary.

use super::*;

/// `dpv:CustomerAnalytics` did not exist.
#[test]
fn every_term_of_the_vocabulary_in_a_record_exists() {
    const LIST: &str = include_str!("../../../../../../profile/src/catalogue/dpv_terms.txt");
    let terms = |heading: &str| -> BTreeSet<&str> {
        let section = LIST.split("\n[").find_map(|section| section.strip_prefix(heading));
        section.expect("a section").split_whitespace().collect()
    };
    let (mut dpv, pd) = (terms("record]"), terms("pd]"));
    dpv.extend(terms("dpv]"));
    for record in records(Format::Dpv27560) {
        let text = document(Format::Dpv27560, &record, &[UNUSED], &controller(), NOW);
        for word in text.split('"') {
            let is_known = match word.split_once(':') {
                Some(("dpv", term)) => dpv.contains(term),
                Some(("pd", term)) => pd.contains(term),
                Some(_) | None => true,
            };
            assert!(is_known, "{word}");
        }
    }
}
