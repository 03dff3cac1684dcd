//! The enums of the interface in the words of the command line: `LAWFUL_BASIS_LEGAL_OBLIGATION` is
//! `legal-obligation`.

use custodia_proto::v1;
use serde::{Deserialize, Deserializer, de::Error as _};

/// An enum whose values have words.
pub(crate) trait Word: Sized + Copy + 'static {
    /// What the words stand for, for error messages.
    const KIND: &'static str;
    /// The values that may be written.
    const VALUES: &'static [Self];
    /// The value's name without the enum's prefix, in upper case.
    fn upper(self) -> &'static str;

    /// The word.
    fn word(self) -> String {
        self.upper().to_ascii_lowercase().replace('_', "-")
    }

    /// The value of a word.
    ///
    /// # Errors
    /// A text that lists the words.
    fn parse(text: &str) -> Result<Self, String> {
        Self::VALUES.iter().copied().find(|value| value.word() == text).ok_or_else(|| {
            let words: Vec<_> = Self::VALUES.iter().map(|value| value.word()).collect();
            format!("a {} is one of {}", Self::KIND, words.join(", "))
        })
    }
}

macro_rules! words {
    ($($Enum:ident $prefix:literal $kind:literal: $($value:ident)*;)*) => { $(
        impl Word for v1::$Enum {
            const KIND: &'static str = $kind;
            const VALUES: &'static [Self] = &[$(Self::$value),*];
            fn upper(self) -> &'static str {
                self.as_str_name().strip_prefix($prefix).unwrap_or_default()
            }
        }
    )* };
}

words! {
    LawfulBasis "LAWFUL_BASIS_" "lawful basis":
        Consent Contract LegalObligation VitalInterests PublicTask LegitimateInterests;
    Party "PARTY_" "party": First Second Third;
    Classification "CLASSIFICATION_" "classification": Anonymous Pseudonymous Personal Sensitive;
    ValueType "VALUE_TYPE_" "type": Text Integer Decimal Boolean Date Timestamp;
    RefusalReason "REFUSAL_REASON_" "reason":;
    ConsentMethod "CONSENT_METHOD_" "consent method": Unambiguous Explicit OptOut;
    ConsentStatus "CONSENT_STATUS_" "status": Given Refused Requested Revoked Invalidated;
    AffirmativeAct "AFFIRMATIVE_ACT_" "affirmative act":
        TickedBox Clicked Spoken Signed DoubleOptIn PreTickedBox Silence ContinuedUse;
    DecidedBy "DECIDED_BY_" "decider": DataSubject Guardian Controller Authority;
    GroundOrigin "GROUND_ORIGIN_" "origin":;
    PrivacySignal "PRIVACY_SIGNAL_" "privacy signal": Gpc;
    ConsentExportFormat "CONSENT_EXPORT_FORMAT_" "export format": Dpv27560 Receipt;
    ConsentModel "CONSENT_MODEL_" "consent model": OptIn OptOut;
    GoogleConsentType "GOOGLE_CONSENT_TYPE_" "Google consent type":
        AdStorage AdUserData AdPersonalization AnalyticsStorage FunctionalityStorage PersonalizationStorage
        SecurityStorage;
    DayOfWeek "DAY_OF_WEEK_" "day": Monday Tuesday Wednesday Thursday Friday Saturday Sunday;
    ContactVerdict "CONTACT_VERDICT_" "verdict":;
    VerdictDetail "VERDICT_DETAIL_" "detail": Full None Only;
    NodeState "NODE_STATE_" "node state": Up Down;
    ReplicaRole "REPLICA_ROLE_" "replica role": Voter Learner;
    KeyLevel "KEY_LEVEL_" "key level": Root Shard Bucket Customer;
}

/// The word of an enum field; `-` where it is unset or unknown to this version.
pub(crate) fn word_of<Value: Word + TryFrom<i32>>(number: i32) -> String {
    match Value::try_from(number) {
        Ok(value) if number != 0 => value.word(),
        Ok(_) | Err(_) => "-".into(),
    }
}

/// The words of several enum fields, separated by commas.
pub(crate) fn words_of<Value: Word + TryFrom<i32>>(numbers: &[i32]) -> String {
    numbers.iter().map(|number| word_of::<Value>(*number)).collect::<Vec<_>>().join(", ")
}

/// A word in a file: for `deserialize_with`.
///
/// # Errors
/// A text that lists the words.
pub(crate) fn one<'de, Value: Word, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    let word = String::deserialize(deserializer)?;
    Value::parse(&word).map(Some).map_err(D::Error::custom)
}

/// A list of words in a file: for `deserialize_with`.
///
/// # Errors
/// A text that lists the words.
pub(crate) fn list<'de, Value: Word, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Value>>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    words.iter().map(|word| Value::parse(word)).collect::<Result<_, _>>().map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_names_without_prefix() {
        assert_eq!(v1::LawfulBasis::parse("legal-obligation"), Ok(v1::LawfulBasis::LegalObligation));
        assert_eq!(word_of::<v1::RefusalReason>(3), "consent-withdrawn");
        assert_eq!(word_of::<v1::RefusalReason>(0), "-");
        assert_eq!(word_of::<v1::RefusalReason>(999), "-");
        assert_eq!(word_of::<v1::ConsentStatus>(4), "expired", "also where it cannot be written");
        assert_eq!(v1::ConsentExportFormat::parse("dpv-27560"), Ok(v1::ConsentExportFormat::Dpv27560));
        assert_eq!(v1::AffirmativeAct::parse("double-opt-in"), Ok(v1::AffirmativeAct::DoubleOptIn));
        assert!(v1::Party::parse("fourth").unwrap_err().contains("first, second, third"));
    }
}
