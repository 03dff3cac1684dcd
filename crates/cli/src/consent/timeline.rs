//! Owns `custodia consent timeline`: what a customer decided, one line each, in the order in which it was recorded.

use custodia_client::{Client, ClientError};
use custodia_proto::v1::{self, consent_history_entry::Change};
use data_encoding::HEXLOWER;

use crate::connection::pages;
use crate::customer::CustomerQuery;
use crate::text::enum_text::{EnumText as _, enum_text, enum_texts};
use crate::text::output::{or, table_of};
use crate::text::values::time_text;

/// The server's largest page.
const PAGE_SIZE: i32 = 500;

/// A customer's whole ledger. The number of entries and the head come from the last page: decisions may be recorded
/// between two pages, and the last page ends at its own head.
///
/// # Errors
/// If a page cannot be fetched.
pub(crate) async fn whole_history(
    client: &Client,
    CustomerQuery { id: customer_id, purpose }: CustomerQuery,
) -> Result<v1::ListConsentHistoryResponse, ClientError> {
    let (page_size, page_token) = (PAGE_SIZE, String::new());
    pages::all(client, v1::ListConsentHistoryRequest { customer_id, purpose, page_size, page_token }).await
}

/// One line for each entry.
pub(crate) fn timeline_text(entries: &[v1::ConsentHistoryEntry]) -> String {
    let line = |entry: &v1::ConsentHistoryEntry| {
        let (purpose, what) = match &entry.change {
            Some(Change::Consent(state)) => (state.purpose.as_str(), decision_text(state, entry)),
            Some(Change::DataSubject(subject)) => ("-", subject_text(subject)),
            Some(Change::TcString(tc_string)) => ("-", tc_string_text(tc_string)),
            Some(Change::GppString(gpp_string)) => ("-", gpp_string_text(gpp_string)),
            Some(Change::Merged(of)) => ("-", other_ledger_text("merged with", of)),
            Some(Change::Unmerged(of)) => ("-", other_ledger_text("separated from", of)),
            None => ("-", "a change that this version does not know".into()),
        };
        let recorded_by = entry.recorded_by.as_ref();
        let recorded_by = recorded_by
            .map_or_else(|| "-".into(), |by| format!("{} {}", enum_text::<v1::Role>(by.role), by.name));
        let recorded_at = time_text(entry.recorded_at.as_ref());
        [entry.sequence.to_string(), recorded_at, recorded_by, purpose.to_owned(), what]
    };
    table_of(["#", "RECORDED", "BY", "PURPOSE", "WHAT HAPPENED"], entries.iter().map(line))
}

/// `consent given: notice 2026-01, explicit, ticked box, collected by web-shop`
fn decision_text(state: &v1::ConsentState, entry: &v1::ConsentHistoryEntry) -> String {
    let evidence = state.evidence.clone().unwrap_or_default();
    let named = |name: &str, text: &str| (!text.is_empty()).then(|| format!("{name} {text}"));
    let timed = |name: &str, time: Option<&custodia_proto::Timestamp>| {
        time.map(|time| format!("{name} {}", time_text(Some(time))))
    };
    let decider = match evidence.decided_by() {
        v1::DecidedBy::Unspecified | v1::DecidedBy::DataSubject => None,
        other @ (v1::DecidedBy::Guardian | v1::DecidedBy::Controller | v1::DecidedBy::Authority) => {
            Some(format!("by the {}", other.text()))
        }
    };
    let was_decided_before = state.decided_at.is_some() && state.decided_at != entry.recorded_at;
    let details = joined([
        named("notice", &state.notice_version),
        (state.method != 0).then(|| enum_text::<v1::ConsentMethod>(state.method)),
        (evidence.act != 0).then(|| enum_text::<v1::AffirmativeAct>(evidence.act).replace('-', " ")),
        decider,
        named("incapacity", &evidence.incapacity),
        named("collected by", &state.collector),
        named("through", &state.channel),
        named("reference", &state.reference),
        named("statement", &evidence.statement_sha256),
        timed("decided", state.decided_at.as_ref().filter(|_| was_decided_before)),
        timed("from", state.valid_from.as_ref()),
        timed("until", state.expires_at.as_ref()),
    ]);
    let basis = enum_text::<v1::LawfulBasis>(state.lawful_basis).replace('-', " ");
    let superseded = if state.effect() == v1::DecisionEffect::Superseded { ", superseded" } else { "" };
    let what = format!("{basis} {}{superseded}", enum_text::<v1::ConsentStatus>(state.status));
    if details.is_empty() { what } else { format!("{what}: {details}") }
}

fn joined<const PARTS: usize>(parts: [Option<String>; PARTS]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What is known about the customer after a change.
fn subject_text(subject: &v1::DataSubject) -> String {
    let known = joined([
        (!subject.regions.is_empty()).then(|| format!("lives in {}", subject.regions.join(", "))),
        (!subject.birth_date.is_empty()).then(|| format!("born {}", subject.birth_date)),
        subject.restriction.as_ref().map(|one| format!("processing restricted ({})", one.reason)),
        subject.legal_hold.as_ref().map(|one| format!("legal hold ({})", one.reference)),
    ]);
    format!("the customer: {}", or(&known, "nothing known"))
}

/// `merged with cust_… (entries of its own: 3, the last 5f0c…); what counts from now on:`
fn other_ledger_text(what: &str, of: &v1::OtherLedger) -> String {
    let entries = match of.total {
        0 => "0".to_owned(),
        total => format!("{total}, the last {}", HEXLOWER.encode(&of.head)),
    };
    format!("{what} {} (entries of its own: {entries}); what counts from now on:", of.customer_id)
}

fn gpp_string_text(gpp_string: &v1::GppString) -> String {
    let section = |section: &v1::GppSection| {
        if section.name.is_empty() { section.id.to_string() } else { section.name.clone() }
    };
    let sections: Vec<_> = gpp_string.sections.iter().map(section).collect();
    let signals = enum_texts::<v1::PrivacySignal>(&gpp_string.signals);
    format!("GPP string of {}: opt-outs {}", or(&sections.join(", "), "no section"), or(&signals, "none"))
}

fn tc_string_text(tc_string: &v1::TcString) -> String {
    let purposes = |numbers: &[u32]| {
        let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
        if numbers.is_empty() { "none".to_owned() } else { numbers.join(" ") }
    };
    format!(
        "TC string of CMP {}: consent to purposes {}, legitimate interest {}",
        tc_string.cmp_id,
        purposes(&tc_string.purposes_consent),
        purposes(&tc_string.purposes_legitimate_interest),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::values::parse_time;

    fn entry(sequence: u64, recorded: &str, change: Change) -> v1::ConsentHistoryEntry {
        let recorded_at = Some(parse_time(recorded).unwrap());
        let recorded_by = Some(v1::Recorder { name: "web-shop".into(), role: v1::Role::Ingest.into() });
        v1::ConsentHistoryEntry {
            sequence,
            recorded_at,
            recorded_by,
            change: Some(change),
            ..Default::default()
        }
    }

    fn consent(status: v1::ConsentStatus, decided: &str) -> v1::ConsentState {
        v1::ConsentState {
            purpose: "offers".into(),
            lawful_basis: v1::LawfulBasis::Consent.into(),
            status: status.into(),
            decided_at: Some(parse_time(decided).unwrap()),
            ..Default::default()
        }
    }

    #[test]
    fn a_timeline_is_one_readable_line_for_each_decision() {
        let given = v1::ConsentState {
            notice_version: "2026-01".into(),
            method: v1::ConsentMethod::Explicit.into(),
            collector: "web-shop".into(),
            evidence: Some(v1::ConsentEvidence {
                act: v1::AffirmativeAct::TickedBox.into(),
                decided_by: v1::DecidedBy::Guardian.into(),
                ..Default::default()
            }),
            ..consent(v1::ConsentStatus::Given, "2026-01-02")
        };
        let withdrawn = v1::ConsentState {
            channel: "phone".into(),
            ..consent(v1::ConsentStatus::Withdrawn, "2026-02-03T10:00:00Z")
        };
        let subject = v1::DataSubject {
            regions: vec!["DE".into(), "US-CA".into()],
            birth_date: "2012-02-29".into(),
            restriction: Some(v1::Restriction { reason: "ticket 7".into(), since: None }),
            ..Default::default()
        };
        let tc_string = v1::TcString { cmp_id: 31, purposes_consent: vec![1, 3], ..Default::default() };
        let text = timeline_text(&[
            entry(0, "2026-01-02T08:00:00Z", Change::DataSubject(subject)),
            entry(1, "2026-01-02T09:00:00Z", Change::Consent(given)),
            entry(2, "2026-02-03T10:00:00Z", Change::Consent(withdrawn)),
            entry(3, "2026-02-04T10:00:00Z", Change::TcString(tc_string)),
        ]);
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "#  RECORDED              BY               PURPOSE  WHAT HAPPENED",
                "0  2026-01-02T08:00:00Z  ingest web-shop  -        the customer: lives in DE, US-CA, born 2012-02-29, processing \
                 restricted (ticket 7)",
                "1  2026-01-02T09:00:00Z  ingest web-shop  offers   consent given: notice 2026-01, explicit, ticked box, by the \
                 guardian, collected by web-shop, decided 2026-01-02T00:00:00Z",
                "2  2026-02-03T10:00:00Z  ingest web-shop  offers   consent withdrawn: through phone",
                "3  2026-02-04T10:00:00Z  ingest web-shop  -        TC string of CMP 31: consent to purposes 1 3, legitimate \
                 interest none",
            ]
        );
    }

    #[test]
    fn a_customer_about_whom_nothing_is_known_says_so() {
        assert_eq!(subject_text(&v1::DataSubject::default()), "the customer: nothing known");
    }
}
