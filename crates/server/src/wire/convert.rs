//! Converts the types of `custodia-profile` that many answers contain to wire messages.

use custodia_profile::{Catalogue, CustomerId, DecisionEffect, Provenance, PurposeNumber, Revision, Value};
use custodia_proto::v1;

use super::timestamp;

/// A stored value on the wire.
pub(crate) fn value(value: &Value) -> v1::Value {
    use v1::value::Kind;
    let kind = match value {
        Value::Text(text) => Kind::Text(text.as_str().to_owned()),
        Value::Integer(number) => Kind::Integer(*number),
        Value::Decimal(number) => Kind::Decimal(number.as_f64()),
        Value::Boolean(yes) => Kind::Boolean(*yes),
        Value::Date(date) => Kind::Date(date.to_string()),
        Value::Timestamp(moment) => Kind::Timestamp(timestamp(*moment)),
    };
    v1::Value { kind: Some(kind) }
}

/// The provenance of a stored value on the wire.
pub(crate) fn provenance(provenance: &Provenance, catalogue: &Catalogue) -> v1::Provenance {
    v1::Provenance {
        source: provenance.source.as_str().to_owned(),
        observed_at: Some(timestamp(provenance.observed_at)),
        recorded_at: Some(timestamp(provenance.recorded_at)),
        purpose: purpose_name(provenance.purpose, catalogue),
        lawful_basis: provenance.basis.number().into(),
        party: provenance.party.number().into(),
    }
}

/// A text that may be absent; empty if it is.
pub(crate) fn text(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

/// The name of a purpose, by its number; empty if the catalogue has none.
pub(crate) fn purpose_name(number: PurposeNumber, catalogue: &Catalogue) -> String {
    catalogue.purpose(number).map(|purpose| purpose.id.as_str().to_owned()).unwrap_or_default()
}

/// What a decision did, on the wire.
pub(crate) fn effect_number(effect: DecisionEffect) -> i32 {
    let effect = match effect {
        DecisionEffect::Applied => v1::DecisionEffect::Applied,
        DecisionEffect::Unchanged => v1::DecisionEffect::Unchanged,
        DecisionEffect::Superseded => v1::DecisionEffect::Superseded,
    };
    effect.into()
}

/// A customer and the revision of its record, for an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordVersion {
    pub(crate) customer: CustomerId,
    pub(crate) revision: Revision,
}

#[cfg(test)]
mod tests {
    use custodia_profile::{LawfulBasis, RefusalReason};

    use super::*;

    #[test]
    fn every_enum_has_the_same_numbers_as_the_api() {
        for reason in RefusalReason::ALL {
            let wire = v1::RefusalReason::try_from(i32::from(reason.number())).expect("a reason of the API");
            assert_eq!(wire.as_str_name(), format!("REFUSAL_REASON_{}", reason.name()));
        }
        for basis in LawfulBasis::ALL {
            v1::LawfulBasis::try_from(i32::from(basis.number())).expect("a basis of the API");
        }
        for class in custodia_profile::Classification::ALL {
            v1::Classification::try_from(i32::from(class.number())).expect("a classification of the API");
        }
        for kind in custodia_profile::ValueType::ALL {
            v1::ValueType::try_from(i32::from(kind.number())).expect("a type of the API");
        }
    }

    #[test]
    fn a_value_comes_back_as_it_was_parsed() {
        use v1::value::Kind;
        let kinds = [
            Kind::Text("Ana".to_owned()),
            Kind::Integer(i64::MIN),
            Kind::Decimal(0.5),
            Kind::Boolean(true),
            Kind::Date("2024-02-29".to_owned()),
            Kind::Timestamp(prost_types::Timestamp { seconds: -5, nanos: 7_000_000 }),
        ];
        for kind in kinds {
            let wire = v1::Value { kind: Some(kind) };
            assert_eq!(value(&crate::wire::parse::value(&wire).expect("valid")), wire);
        }
    }
}
