//! Pairs for people: how probable, and why.

use custodia_proto::v1;

use crate::text::enum_text::enum_text;
use crate::text::output::{Column, facts, or_dash, table};
use crate::text::values::time_text;

/// Reasons that are shown of a pair: the weightiest.
const REASONS_MAX: usize = 6;

const CANDIDATE_COLUMNS: &[Column<v1::DuplicateCandidate>] = &[
    ("CUSTOMER", |one| one.customer_id.clone()),
    ("PROBABILITY", |one| probability(one.score.as_ref())),
    ("VERDICT", |one| verdict(one.score.as_ref())),
    ("DECISION", |one| enum_text::<v1::ReviewDecision>(one.decision)),
    ("REASONS (BITS)", |one| reasons(one.score.as_ref())),
];

const PAIR_COLUMNS: &[Column<v1::DuplicatePair>] = &[
    ("CUSTOMER", |pair| pair.customer_id.clone()),
    ("OTHER", |pair| pair.other_customer_id.clone()),
    ("PROBABILITY", |pair| probability(pair.score.as_ref())),
    ("VERDICT", |pair| verdict(pair.score.as_ref())),
    ("DECISION", |pair| enum_text::<v1::ReviewDecision>(pair.decision)),
    ("BY", |pair| or_dash(&pair.decided_by)),
    ("NOTE", |pair| or_dash(&pair.note)),
    ("REASONS (BITS)", |pair| all_reasons(pair)),
];

/// Who may be the same person.
pub(super) fn found_text(answer: &v1::FindDuplicatesResponse) -> String {
    if answer.candidates.is_empty() {
        return "nobody else may be this person".to_owned();
    }
    let mut parts = vec![table(CANDIDATE_COLUMNS, &answer.candidates)];
    if answer.cluster.len() > 1 {
        parts.push(format!("one person, all judged together: {}", answer.cluster.join(", ")));
    }
    parts.extend(answer.model.as_ref().map(model_text));
    parts.join("\n\n")
}

pub(super) fn list_text(answer: &v1::ListDuplicatesResponse) -> String {
    if answer.pairs.is_empty() {
        return "no pairs: `custodia duplicates scan` looks for them".to_owned();
    }
    table(PAIR_COLUMNS, &answer.pairs)
}

pub(super) fn review_text(answer: &v1::ReviewDuplicateResponse) -> String {
    let pairs: Vec<_> = answer.pair.iter().cloned().collect();
    let mut parts = vec![table(PAIR_COLUMNS, &pairs)];
    parts.extend(Some(answer.next_step.clone()).filter(|text| !text.is_empty()));
    parts.join("\n\n")
}

/// What pairs are judged by.
pub(super) fn model_text(model: &v1::DuplicateModel) -> String {
    let thresholds = format!("{:.2} one person, {:.2} to be looked at", model.same_min, model.review_min);
    facts([
        ("learned from", format!("{} of about {} customers", model.sample_records, model.records)),
        ("learned at", time_text(model.trained_at.as_ref())),
        ("probability from", thresholds),
    ])
}

/// What comes from a source, and what comes from comparing.
fn all_reasons(pair: &v1::DuplicatePair) -> String {
    let in_one_ingest = pair
        .conflicts
        .iter()
        .map(|of| format!("{} of {} in one ingest", of.namespace, of.holder_customer_id));
    let compared = Some(reasons(pair.score.as_ref())).filter(|text| !text.is_empty());
    in_one_ingest.chain(compared).collect::<Vec<_>>().join("; ")
}

fn probability(score: Option<&v1::MatchScore>) -> String {
    score.map_or_else(String::new, |score| format!("{:.3}", score.probability))
}

fn verdict(score: Option<&v1::MatchScore>) -> String {
    score.map_or_else(String::new, |score| enum_text::<v1::MatchVerdict>(score.verdict))
}

fn reasons(score: Option<&v1::MatchScore>) -> String {
    let mut evidence = score.map(|score| score.evidence.clone()).unwrap_or_default();
    evidence.sort_by(|one, other| other.bits.abs().total_cmp(&one.bits.abs()));
    let reason = |of: &v1::FieldEvidence| format!("{} {} {:+.1}", of.field, of.level, of.bits);
    evidence.iter().take(REASONS_MAX).map(reason).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_shown_with_its_weightiest_reasons_first() {
        let of = |field: &str, level: &str, bits| v1::FieldEvidence {
            field: field.into(),
            level: level.into(),
            bits,
        };
        let score = v1::MatchScore {
            probability: 0.9876,
            bits: 20.0,
            verdict: v1::MatchVerdict::Same.into(),
            evidence: vec![of("city", "different", -0.5), of("surname", "same", 9.25)],
        };
        let pair = v1::DuplicatePair { score: Some(score), ..Default::default() };
        let text = list_text(&v1::ListDuplicatesResponse { pairs: vec![pair], ..Default::default() });
        assert!(text.contains("0.988"), "{text}");
        assert!(text.contains("surname same +9.2; city different -0.5"), "{text}");
        let conflict = v1::IdentifierConflict {
            namespace: "card".into(),
            holder_customer_id: "cust_x".into(),
            ..Default::default()
        };
        let pair = v1::DuplicatePair { conflicts: vec![conflict], ..Default::default() };
        let text = list_text(&v1::ListDuplicatesResponse { pairs: vec![pair], ..Default::default() });
        assert!(text.contains("card of cust_x in one ingest"), "{text}");
    }
}
