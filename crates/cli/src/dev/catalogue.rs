//! The sample catalogue: six purposes and sixteen attributes of a shop with a call centre.

use custodia_proto::v1::{
    self, Classification::Anonymous, Classification::Personal, Classification::Pseudonymous,
    Classification::Sensitive, LawfulBasis, ValueType,
};

/// The version of the notice under which the sample's consents are given.
pub(crate) const NOTICE: &str = "2026-01";

/// Name, type, classification, purposes, owner, description.
type AttributeRow =
    (&'static str, ValueType, v1::Classification, &'static [&'static str], &'static str, &'static str);

const PEOPLE: &[&str] = &["service", "billing", "marketing", "privacy-requests"];
const CONTACT: &[&str] = &["service", "marketing", "fraud-prevention", "privacy-requests"];
const PLACE: &[&str] = &["service", "billing", "privacy-requests"];
const SERVICE: &[&str] = &["service", "privacy-requests"];
const BILLING: &[&str] = &["billing", "privacy-requests"];
const INSIGHT: &[&str] = &["analytics", "marketing", "privacy-requests"];
const OFFERS: &[&str] = &["marketing", "privacy-requests"];
const ABOUT: &[&str] = &["service", "analytics", "marketing", "privacy-requests"];

const ATTRIBUTES: [AttributeRow; 16] = [
    ("given_name", ValueType::Text, Personal, PEOPLE, "crm", "First name"),
    ("family_name", ValueType::Text, Personal, PEOPLE, "crm", "Last name"),
    ("email", ValueType::Text, Personal, CONTACT, "crm", "E-mail address"),
    ("phone", ValueType::Text, Personal, CONTACT, "crm", "Telephone number, E.164"),
    ("street", ValueType::Text, Personal, PLACE, "crm", "Street and number"),
    ("city", ValueType::Text, Personal, PLACE, "crm", "City"),
    ("postcode", ValueType::Text, Personal, PLACE, "crm", "Postal code"),
    ("country", ValueType::Text, Pseudonymous, ABOUT, "crm", "Country, ISO 3166"),
    ("date_of_birth", ValueType::Date, Personal, SERVICE, "crm", "Date of birth"),
    ("preferred_language", ValueType::Text, Pseudonymous, ABOUT, "crm", "Language, BCP 47"),
    (
        "preferred_channel",
        ValueType::Text,
        Pseudonymous,
        ABOUT,
        "crm",
        "How the customer likes to be reached",
    ),
    ("loyalty_tier", ValueType::Text, Pseudonymous, ABOUT, "shop", "Level in the loyalty programme"),
    ("open_orders", ValueType::Integer, Anonymous, SERVICE, "shop", "Orders under way"),
    (
        "accessibility_needs",
        ValueType::Text,
        Sensitive,
        SERVICE,
        "service-desk",
        "What an agent has to consider",
    ),
    ("iban", ValueType::Text, Personal, BILLING, "billing", "Bank account"),
    ("lifetime_value", ValueType::Decimal, Pseudonymous, INSIGHT, "analytics", "Value of all purchases, EUR"),
];

const NEWSLETTER: AttributeRow = (
    "newsletter_topics",
    ValueType::Text,
    Pseudonymous,
    OFFERS,
    "marketing",
    "What the customer wants to hear of",
);

/// The sample's attributes.
pub(crate) fn attributes() -> Vec<v1::AttributeDefinition> {
    let attribute =
        |(name, kind, classification, purposes, owner, description): AttributeRow| v1::AttributeDefinition {
            name: name.into(),
            number: 0,
            description: description.into(),
            r#type: kind.into(),
            classification: classification.into(),
            purposes: purposes.iter().map(|purpose| (*purpose).to_owned()).collect(),
            owner: owner.into(),
            bytes_max: 0,
            etag: String::new(),
        };
    ATTRIBUTES.into_iter().chain([NEWSLETTER]).map(attribute).collect()
}

/// The sample's purposes.
pub(crate) fn purposes() -> Vec<v1::Purpose> {
    use LawfulBasis::{Consent, Contract, LegalObligation, LegitimateInterests};
    vec![
        purpose(
            "service",
            "Customer service",
            "To answer you when you call or write, and to handle your orders",
            "dpv:CustomerCare",
            &[Contract],
            &[Contract],
        ),
        purpose(
            "billing",
            "Billing",
            "To write invoices and keep them as the law demands",
            "dpv:PaymentManagement",
            &[Contract, LegalObligation],
            &[LegalObligation],
        ),
        purpose(
            "marketing",
            "Marketing",
            "To send you offers that fit you, if you agree",
            "dpv:DirectMarketing",
            &[Consent],
            &[],
        ),
        purpose(
            "analytics",
            "Analytics",
            "To learn what our customers need, if you agree",
            "dpv:CustomerAnalytics",
            &[Consent, LegitimateInterests],
            &[],
        ),
        purpose(
            "fraud-prevention",
            "Fraud prevention",
            "To protect you and us from fraud",
            "dpv:FraudPreventionAndDetection",
            &[LegitimateInterests],
            &[LegitimateInterests],
        ),
        purpose(
            "privacy-requests",
            "Privacy requests",
            "To give you access to your data and to act on your requests",
            "dpv:LegalCompliance",
            &[LegalObligation],
            &[LegalObligation],
        ),
    ]
}

fn purpose(
    id: &str,
    name: &str,
    description: &str,
    dpv: &str,
    bases: &[LawfulBasis],
    standing: &[LawfulBasis],
) -> v1::Purpose {
    let numbers = |bases: &[LawfulBasis]| bases.iter().map(|basis| i32::from(*basis)).collect();
    let asks = bases.contains(&LawfulBasis::Consent);
    let notice = v1::NoticeVersion {
        version: NOTICE.into(),
        text_sha256: String::new(),
        language: "en".into(),
        asks_again: false,
    };
    v1::Purpose {
        id: id.into(),
        display_name: name.into(),
        description: description.into(),
        dpv: dpv.into(),
        lawful_bases: numbers(bases),
        notices: asks.then_some(notice).into_iter().collect(),
        standing_bases: numbers(standing),
        deprecated: false,
        etag: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_serves_purposes_that_exist() {
        let purposes: Vec<_> = purposes().into_iter().map(|purpose| purpose.id).collect();
        for attribute in attributes() {
            assert!(!attribute.purposes.is_empty(), "{}", attribute.name);
            for purpose in &attribute.purposes {
                assert!(purposes.contains(purpose), "{}: {purpose}", attribute.name);
            }
        }
    }
}
