//! The API's enum values as text: `LAWFUL_BASIS_LEGAL_OBLIGATION` is written `legal-obligation`.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use custodia_proto::v1;
use serde::{Deserialize, Deserializer, de::Error as _};

/// An enum whose values are written as text.
pub(crate) trait EnumText: Sized + Copy + Send + Sync + 'static {
    /// The values that commands and files may give.
    const VALUES: &'static [Self];
    /// The value's name without the enum's prefix, in upper case.
    fn upper(self) -> &'static str;

    fn text(self) -> String {
        self.upper().to_ascii_lowercase().replace('_', "-")
    }

    /// Parses an option; help and completions list the possible values.
    fn parser() -> impl TypedValueParser<Value = Self> {
        let texts: Vec<_> = Self::VALUES.iter().map(|value| value.text()).collect();
        PossibleValuesParser::new(texts).try_map(|text| Self::parse(&text))
    }

    /// Parses a value; an error lists the possible values.
    fn parse(text: &str) -> Result<Self, String> {
        Self::VALUES.iter().copied().find(|value| value.text() == text).ok_or_else(|| {
            let texts: Vec<_> = Self::VALUES.iter().map(|value| value.text()).collect();
            format!("must be one of {}", texts.join(", "))
        })
    }
}

macro_rules! impl_enum_text {
    ($($Enum:ident $prefix:literal: $($value:ident)*;)*) => { $(
        impl EnumText for v1::$Enum {
            const VALUES: &'static [Self] = &[$(Self::$value),*];
            fn upper(self) -> &'static str {
                self.as_str_name().strip_prefix($prefix).unwrap_or_default()
            }
        }
    )* };
}

impl_enum_text! {
    LawfulBasis "LAWFUL_BASIS_":
        Consent Contract LegalObligation VitalInterests PublicTask LegitimateInterests;
    Party "PARTY_": First Second Third;
    Classification "CLASSIFICATION_": Anonymous Pseudonymous Personal Sensitive;
    ValueType "VALUE_TYPE_": Text Integer Decimal Boolean Date Timestamp;
    RefusalReason "REFUSAL_REASON_":;
    ConsentMethod "CONSENT_METHOD_": Unambiguous Explicit OptOut SoftOptIn;
    ConsentStatus "CONSENT_STATUS_": Given Refused Requested Revoked Invalidated;
    AffirmativeAct "AFFIRMATIVE_ACT_":
        TickedBox Clicked Spoken Signed DoubleOptIn PreTickedBox Silence ContinuedUse;
    DecidedBy "DECIDED_BY_": DataSubject Guardian Controller Authority;
    GroundOrigin "GROUND_ORIGIN_":;
    PrivacySignal "PRIVACY_SIGNAL_": Gpc DoNotSell LimitSensitive;
    TcRestriction "TC_RESTRICTION_":;
    ReplicaState "REPLICA_STATE_":;
    ConsentExportFormat "CONSENT_EXPORT_FORMAT_": Dpv27560 Receipt;
    ConsentModel "CONSENT_MODEL_": OptIn OptOut;
    SensitiveConsent "SENSITIVE_CONSENT_": NotRefused OptIn Explicit Signed;
    ChannelKind "CHANNEL_KIND_": ElectronicMail TextMessage AutomatedCall Call Post Visit;
    NamespaceKind "NAMESPACE_KIND_": Email Phone Text;
    LinkPolicy "LINK_POLICY_": Propose Merge;
    Survivorship "SURVIVORSHIP_": Newest TrustedSource VerifiedFirst Survivor Merged;
    MatchField "MATCH_FIELD_":
        GivenName Surname FullName DateOfBirth Gender Email Phone Identifier Street HouseNumber AddressLine PostalCode City
        Region FirstProperty SecondProperty ThirdProperty FourthProperty FreeText MiddleName;
    MatchVerdict "MATCH_VERDICT_": Same Review;
    ValueFormat "VALUE_FORMAT_": CountryCode PostalCode AddressLine City Email Phone;
    IdentifierFault "IDENTIFIER_FAULT_": NeverVerified VerificationOutdated Stale Bounced Invalid Shared;
    ReviewDecision "REVIEW_DECISION_": Same Different Later;
    GoogleConsentType "GOOGLE_CONSENT_TYPE_":
        AdStorage AdUserData AdPersonalization AnalyticsStorage FunctionalityStorage PersonalizationStorage
        SecurityStorage;
    SpecialUse "SPECIAL_USE_": DataSubjectRights LegalClaims;
    SpecialCategoryGround "SPECIAL_CATEGORY_GROUND_":
        ExplicitConsent Employment VitalInterests NonProfitBody MadePublic LegalClaims SubstantialPublicInterest
        HealthCare PublicHealth Research;
    DayOfWeek "DAY_OF_WEEK_": Monday Tuesday Wednesday Thursday Friday Saturday Sunday;
    ContactVerdict "CONTACT_VERDICT_":;
    VerificationMethod "VERIFICATION_METHOD_": DoubleOptIn OneTimeCode Document Source;
    VerdictDetail "VERDICT_DETAIL_": Full None Only;
    NodeState "NODE_STATE_": Up Down;
    ReplicaRole "REPLICA_ROLE_": Voter Learner;
    ReplicaVerdict "REPLICA_VERDICT_":;
    Role "ROLE_":;
    KeyLevel "KEY_LEVEL_": Root Shard Bucket Customer Blinding;
    TraitAggregate "TRAIT_AGGREGATE_": Count Sum Min Max First Last DaysSinceLast;
    MatterState "MATTER_STATE_":;
}

/// The text of an enum field; `-` if it is unset or unknown to this version.
pub(crate) fn enum_text<Value: EnumText + TryFrom<i32>>(number: i32) -> String {
    match Value::try_from(number) {
        Ok(value) if number != 0 => value.text(),
        Ok(_) | Err(_) => "-".into(),
    }
}

/// The texts of several enum fields, separated by commas.
pub(crate) fn enum_texts<Value: EnumText + TryFrom<i32>>(numbers: &[i32]) -> String {
    numbers.iter().map(|number| enum_text::<Value>(*number)).collect::<Vec<_>>().join(", ")
}

/// For `deserialize_with`: a value in a file.
pub(crate) fn deserialize<'de, Value: EnumText, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    Value::parse(&String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}

/// For `deserialize_with`: a list of values in a file.
pub(crate) fn deserialize_list<'de, Value: EnumText, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Value>>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| Value::parse(text)).collect::<Result<_, _>>().map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_names_without_prefix() {
        assert_eq!(v1::LawfulBasis::parse("legal-obligation"), Ok(v1::LawfulBasis::LegalObligation));
        assert_eq!(enum_text::<v1::RefusalReason>(3), "consent-withdrawn");
        assert_eq!(enum_text::<v1::RefusalReason>(0), "-");
        assert_eq!(enum_text::<v1::RefusalReason>(999), "-");
        assert_eq!(enum_text::<v1::ConsentStatus>(4), "expired", "even if it cannot be given");
        assert_eq!(v1::ConsentExportFormat::parse("dpv-27560"), Ok(v1::ConsentExportFormat::Dpv27560));
        assert_eq!(v1::AffirmativeAct::parse("double-opt-in"), Ok(v1::AffirmativeAct::DoubleOptIn));
        assert!(v1::Party::parse("fourth").unwrap_err().contains("first, second, third"));
    }
}
