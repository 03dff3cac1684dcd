//! Owns the readable form of a ledger entry, made from its stored bytes alone. Always: the same entry gives the same
//! text, so that a file with both can be checked; every entry has every field, null if there is nothing.

use custodia_profile::{
    DataSubject, Evidence, GroundState, Label, LawfulBasis, LedgerBody, LedgerEntry, OtherLedger, PurposeId,
    PurposeNumber, TimestampMs,
};
use custodia_proto::v1;
use data_encoding::HEXLOWER;
use serde::Serialize;

use crate::text::enum_text::{EnumText, enum_text};

/// A readable entry.
#[derive(Debug, Serialize)]
pub(crate) struct Readable {
    sequence: u64,
    previous: String,
    recorded_at: String,
    recorded_by: Recorder,
    #[serde(flatten)]
    body: Body,
}

#[derive(Debug, Serialize)]
struct Recorder {
    name: String,
    role: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Ground(Box<Ground>),
    Superseded(Box<Ground>),
    DataSubject(Subject),
    TcString(ConsentString),
    GppString(ConsentString),
    Merged(Other),
    Unmerged(Other),
}

/// The ledger of the other customer of a merge, as it was then.
#[derive(Debug, Serialize)]
struct Other {
    merge_id: String,
    customer_id: String,
    entries: u64,
    head: String,
}

#[derive(Debug, Serialize)]
struct Ground {
    purpose: String,
    purpose_number: u32,
    lawful_basis: String,
    status: String,
    notice_version: Option<String>,
    method: Option<String>,
    evidence: Option<Proof>,
    collector: Option<String>,
    reference: Option<String>,
    channel: Option<String>,
    decided_at: String,
    valid_from: Option<String>,
    expires_at: Option<String>,
    recorded_at: String,
}

#[derive(Debug, Serialize)]
struct Proof {
    act: Option<String>,
    statement_sha256: Option<String>,
    language: Option<String>,
    decided_by: String,
    incapacity: Option<String>,
}

#[derive(Debug, Serialize)]
struct Subject {
    regions: Vec<String>,
    region_unknown: bool,
    birth_date: Option<String>,
    restriction: Option<Cause>,
    legal_hold: Option<Cause>,
    sale_opted_out_at: Option<String>,
    do_not_sell_at: Option<String>,
    sensitive_limited_at: Option<String>,
    updated_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Cause {
    reason: String,
    since: String,
}

#[derive(Debug, Serialize)]
struct ConsentString {
    text: String,
    recorded_at: String,
}

impl Readable {
    pub(crate) fn of(entry: &LedgerEntry) -> Self {
        let body = match &entry.body {
            LedgerBody::Ground { purpose, purpose_id, basis, state } => {
                Body::Ground(Box::new(ground(*purpose, purpose_id, *basis, state)))
            }
            LedgerBody::Superseded { purpose, purpose_id, basis, state } => {
                Body::Superseded(Box::new(ground(*purpose, purpose_id, *basis, state)))
            }
            LedgerBody::Subject(subject) => Body::DataSubject(data_subject(subject)),
            LedgerBody::TcString(stored) => Body::TcString(consent_string(&stored.text, stored.recorded_at)),
            LedgerBody::GppString(stored) => {
                Body::GppString(consent_string(&stored.text, stored.recorded_at))
            }
            LedgerBody::Merged(of) => Body::Merged(other(of)),
            LedgerBody::Unmerged(of) => Body::Unmerged(other(of)),
        };
        Self {
            sequence: entry.sequence,
            previous: HEXLOWER.encode(&entry.previous),
            recorded_at: moment(entry.recorded_at),
            recorded_by: Recorder {
                name: entry.recorded_by.name.to_string(),
                role: entry.recorded_by.role.name(),
            },
            body,
        }
    }
}

fn other(of: &OtherLedger) -> Other {
    Other {
        merge_id: of.merge.to_string(),
        customer_id: of.customer.to_string(),
        entries: of.entries,
        head: HEXLOWER.encode(&of.head),
    }
}

fn ground(number: PurposeNumber, purpose: &PurposeId, basis: LawfulBasis, state: &GroundState) -> Ground {
    Ground {
        purpose: purpose.to_string(),
        purpose_number: number.as_u32(),
        lawful_basis: word::<v1::LawfulBasis>(basis.number()),
        status: word::<v1::ConsentStatus>(state.status.number()),
        notice_version: text(state.notice.as_ref()),
        method: state.method.map(|method| word::<v1::ConsentMethod>(method.number())),
        evidence: state.evidence.as_ref().map(proof),
        collector: text(state.collector.as_ref()),
        reference: text(state.reference.as_ref()),
        channel: text(state.channel.as_ref()),
        decided_at: moment(state.decided_at),
        valid_from: state.valid_from.map(moment),
        expires_at: state.expires_at.map(moment),
        recorded_at: moment(state.recorded_at),
    }
}

fn proof(evidence: &Evidence) -> Proof {
    Proof {
        act: evidence.act.map(|act| word::<v1::AffirmativeAct>(act.number())),
        statement_sha256: evidence.statement_sha256.as_ref().map(|hash| HEXLOWER.encode(hash)),
        language: text(evidence.language.as_ref()),
        decided_by: word::<v1::DecidedBy>(evidence.decided_by.number()),
        incapacity: text(evidence.incapacity.as_ref()),
    }
}

fn data_subject(subject: &DataSubject) -> Subject {
    let cause = |reason: &str, since| Cause { reason: reason.to_owned(), since: moment(since) };
    Subject {
        regions: subject.regions.iter().map(ToString::to_string).collect(),
        region_unknown: subject.region_unknown,
        birth_date: subject.birth_date.map(|date| date.to_string()),
        restriction: subject.restriction.as_ref().map(|one| cause(one.reason.as_str(), one.since)),
        legal_hold: subject.legal_hold.as_ref().map(|one| cause(one.reference.as_str(), one.since)),
        sale_opted_out_at: subject.sale_opt_out.map(moment),
        do_not_sell_at: subject.do_not_sell.map(moment),
        sensitive_limited_at: subject.sensitive_limit.map(moment),
        updated_at: subject.updated_at.map(moment),
    }
}

fn consent_string<const BYTES_MAX: usize>(
    text: &Label<BYTES_MAX>,
    recorded_at: TimestampMs,
) -> ConsentString {
    ConsentString { text: text.as_str().to_owned(), recorded_at: moment(recorded_at) }
}

fn word<Value: EnumText + TryFrom<i32>>(number: u8) -> String {
    enum_text::<Value>(number.into())
}

fn text<const BYTES_MAX: usize>(label: Option<&Label<BYTES_MAX>>) -> Option<String> {
    label.map(|label| label.as_str().to_owned())
}

/// RFC 3339; a moment outside the years that it knows as its number of milliseconds.
fn moment(time: TimestampMs) -> String {
    jiff::Timestamp::from_millisecond(time.as_ms())
        .map_or_else(|_error| time.to_string(), |instant| instant.to_string())
}
