//! One question to the law, by the numbers of its purpose and attribute, for tests that also ask about unknown ones.

use custodia_profile::{
    AttributeNumber, Catalogue, CustomerRecord, Permission, Provenance, PurposeNumber, Reader, RefusalReason,
    StoredEvent, TimestampMs, Verdict,
};

/// What the decision is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    /// The purpose as a whole.
    Purpose,
    /// An attribute, stored or about to be.
    Attribute {
        /// The catalogue's number.
        number: AttributeNumber,
        /// When its value was observed; none: about no particular value, so retention is not checked.
        observed_at: Option<TimestampMs>,
    },
    /// A stored value of an attribute.
    Value {
        /// The catalogue's number.
        number: AttributeNumber,
        /// Where it comes from.
        provenance: &'a Provenance,
    },
    /// A stored event.
    Event(&'a StoredEvent),
}

/// What the law is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecisionRequest<'a> {
    /// For which purpose.
    pub(crate) purpose: PurposeNumber,
    /// About what.
    pub(crate) subject: Subject<'a>,
    /// For whom.
    pub(crate) reader: Reader<'a>,
    /// At which moment.
    pub(crate) now: TimestampMs,
}

/// Whether the subject may be used for the purpose now.
pub(crate) fn decide(
    request: &DecisionRequest<'_>,
    record: &CustomerRecord,
    catalogue: &Catalogue,
) -> Verdict {
    let Some(purpose) = catalogue.purpose(request.purpose) else {
        return Verdict::Refuse(RefusalReason::UnknownPurpose);
    };
    let permission = Permission::for_purpose(purpose, request.reader, record, catalogue, request.now);
    match request.subject {
        Subject::Purpose => permission.verdict(),
        Subject::Attribute { number, observed_at } => match catalogue.attribute(number) {
            Some(definition) => permission.for_attribute(definition, observed_at),
            None => Verdict::Refuse(RefusalReason::UnknownAttribute),
        },
        Subject::Value { number, provenance } => match catalogue.attribute(number) {
            Some(definition) => permission.for_value(definition, provenance),
            None => Verdict::Refuse(RefusalReason::UnknownAttribute),
        },
        Subject::Event(event) => permission.for_event(event),
    }
}
