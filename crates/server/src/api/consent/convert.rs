//! Converts recorded decisions to wire messages.

use custodia_profile::{
    Catalogue, DataSubject, Evidence, GroundState, GroundStatus, LawfulBasis, LedgerEntry, OtherLedger,
    PurposeNumber, Recorder, Revision, TimestampMs,
};
use custodia_proto::v1;

use data_encoding::HEXLOWER;

use crate::{
    shard::CustomerState,
    wire::{
        convert::{RecordVersion, purpose_name, text},
        etag, timestamp,
    },
};

/// The version and time to which an answer about decisions refers.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConsentAsOf {
    pub(super) at: RecordVersion,
    pub(super) consent_revision: u64,
    /// The time that decides whether grounds have expired.
    pub(super) now: TimestampMs,
}

impl ConsentAsOf {
    /// The version after these decisions; `applied` if they change the record.
    pub(super) fn after(state: &CustomerState<'_>, applied: bool, ledger: &[LedgerEntry]) -> Self {
        Self {
            at: RecordVersion { customer: state.location.customer, revision: state.revision_after(applied) },
            consent_revision: state.consent_revision_after(ledger),
            now: state.now,
        }
    }

    /// The record's etag.
    pub(super) fn etag(self) -> String {
        etag(self.at.revision)
    }
}

/// The state of one ground for one purpose.
pub(super) fn consent_state(
    of: ConsentAsOf,
    (purpose, basis): (&str, LawfulBasis),
    state: &GroundState,
) -> v1::ConsentState {
    v1::ConsentState {
        customer_id: of.at.customer.to_string(),
        purpose: purpose.to_owned(),
        lawful_basis: basis.number().into(),
        status: consent_status(state, of.now).into(),
        notice_version: text(state.notice.as_ref().map(|notice| notice.as_str())),
        method: state.method.map_or(0, |method| method.number().into()),
        collector: text(state.collector.as_ref().map(|collector| collector.as_str())),
        reference: text(state.reference.as_ref().map(|reference| reference.as_str())),
        decided_at: Some(timestamp(state.decided_at)),
        expires_at: state.expires_at.map(timestamp),
        recorded_at: Some(timestamp(state.recorded_at)),
        consent_revision: of.consent_revision,
        etag: etag(of.at.revision),
        evidence: state.evidence.as_ref().map(evidence),
        channel: text(state.channel.as_ref().map(|channel| channel.as_str())),
        valid_from: state.valid_from.map(timestamp),
        still_permitted_by: 0,
        effect: v1::DecisionEffect::Applied.into(),
    }
}

/// The states of grounds, sorted by purpose, then basis.
pub(super) fn consent_states<'a>(
    of: ConsentAsOf,
    grounds: impl IntoIterator<Item = (&'a (PurposeNumber, LawfulBasis), &'a GroundState)>,
    catalogue: &Catalogue,
) -> Vec<v1::ConsentState> {
    let state = |((purpose, basis), state): (&(PurposeNumber, LawfulBasis), &GroundState)| {
        consent_state(of, (&purpose_name(*purpose, catalogue), *basis), state)
    };
    let mut states: Vec<_> = grounds.into_iter().map(state).collect();
    states.sort_by(|one, other| (&one.purpose, one.lawful_basis).cmp(&(&other.purpose, other.lawful_basis)));
    states
}

/// A ground's status at a given time.
pub(super) fn consent_status(state: &GroundState, now: TimestampMs) -> v1::ConsentStatus {
    match state.status {
        GroundStatus::Given if state.is_expired(now) => v1::ConsentStatus::Expired,
        GroundStatus::Given => v1::ConsentStatus::Given,
        GroundStatus::Refused => v1::ConsentStatus::Refused,
        GroundStatus::Withdrawn => v1::ConsentStatus::Withdrawn,
        GroundStatus::Requested => v1::ConsentStatus::Requested,
        GroundStatus::Revoked => v1::ConsentStatus::Revoked,
        GroundStatus::Invalidated => v1::ConsentStatus::Invalidated,
    }
}

/// Who recorded a ledger entry.
pub(super) fn recorder(recorder: &Recorder) -> v1::Recorder {
    v1::Recorder { name: recorder.name.as_str().to_owned(), role: i32::from(recorder.role.number()) }
}

fn evidence(evidence: &Evidence) -> v1::ConsentEvidence {
    v1::ConsentEvidence {
        act: evidence.act.map_or(0, |act| act.number().into()),
        statement_sha256: evidence.statement_sha256.map(|hash| HEXLOWER.encode(&hash)).unwrap_or_default(),
        language: text(evidence.language.as_ref().map(|language| language.as_str())),
        bundled: false,
        decided_by: evidence.decided_by.number().into(),
        incapacity: text(evidence.incapacity.as_ref().map(|reference| reference.as_str())),
    }
}

/// What is known about a data subject.
pub(super) fn data_subject(at: RecordVersion, subject: &DataSubject) -> v1::DataSubject {
    let restriction = subject.restriction.as_ref().map(|restriction| v1::Restriction {
        reason: restriction.reason.as_str().to_owned(),
        since: Some(timestamp(restriction.since)),
    });
    let legal_hold = subject.legal_hold.as_ref().map(|hold| v1::LegalHold {
        reference: hold.reference.as_str().to_owned(),
        since: Some(timestamp(hold.since)),
    });
    v1::DataSubject {
        customer_id: at.customer.to_string(),
        regions: subject.regions.iter().map(|region| region.as_str().to_owned()).collect(),
        birth_date: subject.birth_date.map(|date| date.to_string()).unwrap_or_default(),
        restriction,
        legal_hold,
        updated_at: subject.updated_at.map(timestamp),
        sale_opted_out_at: subject.sale_opt_out.map(timestamp),
        do_not_sell_at: subject.do_not_sell.map(timestamp),
        sensitive_limited_at: subject.sensitive_limit.map(timestamp),
        // A customer who does not exist has no etag.
        etag: if at.revision == Revision::NONE { String::new() } else { etag(at.revision) },
    }
}

/// The ledger of the other customer of a merge.
pub(super) fn other_ledger(of: &OtherLedger) -> v1::OtherLedger {
    v1::OtherLedger {
        merge_id: of.merge.to_string(),
        customer_id: of.customer.to_string(),
        total: i64::try_from(of.entries).unwrap_or(i64::MAX),
        head: of.head.to_vec(),
    }
}
