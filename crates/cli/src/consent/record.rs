//! `custodia consent record` and `withdraw`, and the table of a customer's consents.

use std::collections::BTreeSet;

use custodia_proto::{Timestamp, v1};

use crate::text::enum_text::{EnumText as _, enum_text};
use crate::text::output::{Column, or_dash, table};
use crate::text::values::{parse_time, time_text};

/// What `consent record` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordConsent {
    /// Customer id (cust_…)
    id: String,
    /// Purpose of the consent
    #[arg(long)]
    purpose: String,
    /// given, refused, requested (not answered yet), revoked (not by the customer) or invalidated
    #[arg(long, default_value = "given", value_parser = v1::ConsentStatus::parser())]
    status: v1::ConsentStatus,
    /// Lawful basis
    #[arg(long, default_value = "consent", value_parser = v1::LawfulBasis::parser())]
    basis: v1::LawfulBasis,
    /// Version of the notice that was shown; required for a given consent
    #[arg(long, default_value = "", hide_default_value = true)]
    notice: String,
    /// unambiguous, explicit or opt-out [default for a given consent: unambiguous]
    #[arg(long, value_parser = v1::ConsentMethod::parser())]
    method: Option<v1::ConsentMethod>,
    #[command(flatten)]
    evidence: Evidence,
    /// Who collected it
    #[arg(long, default_value = "", hide_default_value = true)]
    collector: String,
    /// Channel of the decision
    #[arg(long, default_value = "", hide_default_value = true)]
    channel: String,
    /// Contract, law, incident or balancing test; required for a basis other than consent
    #[arg(long, default_value = "", hide_default_value = true)]
    reference: String,
    /// Time of the decision [default: now]; counts for a given ground, or with --imported
    #[arg(long, value_parser = parse_time)]
    decided_at: Option<Timestamp>,
    /// Consent revision that was read (`consent list` shows it) before the customer consented again; required to lift a no
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    consent_revision: u64,
    /// The decision is of the past and is imported with its date (role privacy); requires --decided-at
    #[arg(long, requires = "decided_at", conflicts_with = "consent_revision")]
    imported: bool,
    /// Start of validity, e.g. the first day of a contract [default: the time of the decision]
    #[arg(long, value_parser = parse_time)]
    valid_from: Option<Timestamp>,
    /// Time of expiry [default: none]
    #[arg(long, value_parser = parse_time)]
    expires_at: Option<Timestamp>,
}

/// Heading in the help.
const EVIDENCE: &str = "Evidence";

/// The proof of a decision.
#[derive(Debug, clap::Args)]
struct Evidence {
    /// What the customer did: ticked-box, clicked, spoken, signed or double-opt-in; required for a given consent
    /// unless the method is opt-out
    #[arg(long, help_heading = EVIDENCE, value_parser = v1::AffirmativeAct::parser())]
    act: Option<v1::AffirmativeAct>,
    /// SHA-256 (hex) of the statement, form or recording that proves the decision
    #[arg(long, help_heading = EVIDENCE, default_value = "", hide_default_value = true)]
    statement_sha256: String,
    /// Language of the notice that was shown (BCP 47)
    #[arg(long, help_heading = EVIDENCE, default_value = "", hide_default_value = true)]
    language: String,
    /// The same act also decided other purposes, without a separate choice
    #[arg(long, help_heading = EVIDENCE)]
    bundled: bool,
    /// Who decided: data-subject, guardian, controller or authority [default: data-subject]
    #[arg(long, help_heading = EVIDENCE, value_parser = v1::DecidedBy::parser())]
    decided_by: Option<v1::DecidedBy>,
    /// What shows that the customer cannot decide, e.g. the order of a court; required of a guardian for an adult
    #[arg(long, help_heading = EVIDENCE, default_value = "", hide_default_value = true)]
    incapacity: String,
}

/// What `consent withdraw` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct WithdrawConsent {
    /// Customer id (cust_…)
    id: String,
    /// Purpose of the consent
    #[arg(long)]
    purpose: String,
    /// Lawful basis to end [default: consent]
    #[arg(long, value_parser = v1::LawfulBasis::parser())]
    basis: Option<v1::LawfulBasis>,
    /// Channel of the withdrawal
    #[arg(long, default_value = "", hide_default_value = true)]
    channel: String,
}

impl RecordConsent {
    pub(crate) fn into_request(self) -> v1::RecordConsentRequest {
        let is_given_consent =
            self.basis == v1::LawfulBasis::Consent && self.status == v1::ConsentStatus::Given;
        let otherwise =
            if is_given_consent { v1::ConsentMethod::Unambiguous } else { v1::ConsentMethod::Unspecified };
        v1::RecordConsentRequest {
            customer_id: self.id,
            purpose: self.purpose,
            status: self.status.into(),
            lawful_basis: self.basis.into(),
            notice_version: self.notice,
            method: self.method.unwrap_or(otherwise).into(),
            collector: self.collector,
            reference: self.reference,
            decided_at: self.decided_at,
            expires_at: self.expires_at,
            evidence: self.evidence.into_message(),
            channel: self.channel,
            valid_from: self.valid_from,
            consent_revision: self.consent_revision,
            recording: if self.imported { v1::Recording::Imported } else { v1::Recording::Live }.into(),
            ..v1::RecordConsentRequest::default()
        }
    }
}

impl Evidence {
    /// `None` if no evidence was given.
    fn into_message(self) -> Option<v1::ConsentEvidence> {
        let evidence = v1::ConsentEvidence {
            act: self.act.unwrap_or_default().into(),
            statement_sha256: self.statement_sha256,
            language: self.language,
            bundled: self.bundled,
            decided_by: self.decided_by.unwrap_or_default().into(),
            incapacity: self.incapacity,
        };
        (evidence != v1::ConsentEvidence::default()).then_some(evidence)
    }
}

impl WithdrawConsent {
    pub(crate) fn into_request(self) -> v1::WithdrawConsentRequest {
        v1::WithdrawConsentRequest {
            customer_id: self.id,
            purpose: self.purpose,
            channel: self.channel,
            request_id: String::new(),
            lawful_basis: self.basis.unwrap_or(v1::LawfulBasis::Unspecified).into(),
        }
    }
}

/// Consents and other grounds, one line each, then the purposes whose use goes on after a no.
pub(crate) fn consents_text(consents: &[v1::ConsentState]) -> String {
    let goes_on = |consent: &v1::ConsentState| {
        let basis = enum_text::<v1::LawfulBasis>(consent.still_permitted_by).replace('-', " ");
        format!("{} goes on: {basis} still permits it", consent.purpose)
    };
    let still = consents.iter().filter(|consent| consent.still_permitted_by != 0);
    let lines: BTreeSet<String> = still.map(goes_on).collect();
    let notes = lines.into_iter().map(|line| format!("\n\n{line}")).collect::<String>();
    table(CONSENT_COLUMNS, consents) + &notes
}

const CONSENT_COLUMNS: &[Column<v1::ConsentState>] = &[
    ("PURPOSE", |consent| consent.purpose.clone()),
    ("GROUND", |consent| enum_text::<v1::LawfulBasis>(consent.lawful_basis)),
    ("STATUS", |consent| enum_text::<v1::ConsentStatus>(consent.status)),
    ("NOTICE", |consent| or_dash(&consent.notice_version)),
    ("METHOD", |consent| enum_text::<v1::ConsentMethod>(consent.method)),
    ("ACT", |consent| enum_text::<v1::AffirmativeAct>(evidence(consent).act)),
    ("DECIDED", |consent| time_text(consent.decided_at.as_ref())),
    ("BY", decided_by),
    ("FROM", |consent| time_text(consent.valid_from.as_ref())),
    ("EXPIRES", |consent| time_text(consent.expires_at.as_ref())),
    ("REFERENCE", |consent| or_dash(&consent.reference)),
];

/// Who decided; a no without evidence is the customer's own.
fn decided_by(consent: &v1::ConsentState) -> String {
    let said_no = matches!(consent.status(), v1::ConsentStatus::Refused | v1::ConsentStatus::Withdrawn);
    let by = evidence(consent).decided_by();
    let own = by == v1::DecidedBy::Unspecified && said_no;
    enum_text::<v1::DecidedBy>(if own { v1::DecidedBy::DataSubject } else { by }.into())
}

fn evidence(consent: &v1::ConsentState) -> v1::ConsentEvidence {
    consent.evidence.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        record: RecordConsent,
    }

    fn request(options: &[&str]) -> v1::RecordConsentRequest {
        let line = ["record", "cust_x", "--purpose", "offers"].into_iter().chain(options.iter().copied());
        Line::try_parse_from(line).unwrap().record.into_request()
    }

    #[test]
    fn evidence_is_sent_as_given_and_none_is_made_up() {
        let plain = request(&["--notice", "2026-01"]);
        assert_eq!((plain.method(), plain.evidence), (v1::ConsentMethod::Unambiguous, None));
        let proven =
            request(&["--act", "signed", "--language", "de", "--decided-by", "guardian", "--bundled"]);
        let evidence = proven.evidence.unwrap();
        assert_eq!(evidence.act(), v1::AffirmativeAct::Signed);
        assert_eq!((evidence.decided_by(), evidence.bundled), (v1::DecidedBy::Guardian, true));
        let revoked = request(&["--status", "revoked"]);
        assert_eq!(revoked.method(), v1::ConsentMethod::Unspecified, "how consent was expressed is unknown");
    }

    #[test]
    fn a_state_shows_its_evidence() {
        let state = v1::ConsentState {
            purpose: "offers".into(),
            lawful_basis: v1::LawfulBasis::Consent.into(),
            status: v1::ConsentStatus::Invalidated.into(),
            evidence: Some(v1::ConsentEvidence {
                act: v1::AffirmativeAct::DoubleOptIn.into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let text = consents_text(&[state]);
        assert!(text.contains("invalidated") && text.contains("double-opt-in"), "{text}");
    }

    #[test]
    fn a_no_over_a_purpose_that_a_contract_carries_says_that_use_goes_on() {
        let state = v1::ConsentState {
            purpose: "offers".into(),
            status: v1::ConsentStatus::Withdrawn.into(),
            still_permitted_by: v1::LawfulBasis::LegalObligation.into(),
            ..Default::default()
        };
        let text = consents_text(&[state.clone(), state]);
        assert!(text.contains("data-subject"), "a no without evidence is the customer's own: {text}");
        assert_eq!(text.matches("offers goes on: legal obligation still permits it").count(), 1, "{text}");
    }
}
