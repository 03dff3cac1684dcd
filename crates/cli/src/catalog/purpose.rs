//! `custodia purpose`: why data is stored and used.

use std::collections::BTreeMap;
use std::str::FromStr;

use custodia_proto::{rpc::Unary, v1};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::catalog::definition::{Definition, Required, days_text, numbers, requests, set_fields};
use crate::text::enum_text::{self, EnumText, enum_text, enum_texts};
use crate::text::output::{Column, facts, or, or_dash};
use crate::text::parts::parts;
use crate::text::set;
use crate::text::values::{parse_time, time_text};

/// The fields of a purpose.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PurposeFields {
    /// Id of the purpose: 1 to 64 of [a-z0-9-]
    #[arg(required_unless_present = "file")]
    id: Option<String>,
    /// Display name
    #[arg(long)]
    name: Option<String>,
    /// Description for the customer
    #[arg(long)]
    description: Option<String>,
    /// The purpose in the W3C Data Privacy Vocabulary, e.g. dpv:ServiceProvision
    #[arg(long)]
    dpv: Option<String>,
    /// Lawful basis; several are tried in the given order (repeatable, or comma-separated)
    #[arg(long = "basis", value_delimiter = ',', value_parser = v1::LawfulBasis::parser())]
    #[serde(deserialize_with = "enum_text::deserialize_list")]
    bases: Option<Vec<v1::LawfulBasis>>,
    /// Other bases in one jurisdiction, e.g. br=consent,contract; an empty list forbids the purpose there (repeatable)
    #[arg(long = "bases-in", value_name = "JURISDICTION=BASES")]
    #[serde(deserialize_with = "bases_by_jurisdiction")]
    bases_in: Option<Vec<BasesIn>>,
    /// Basis that applies to every customer without a recorded decision, e.g. legal-obligation
    #[arg(long = "standing", value_delimiter = ',', value_parser = v1::LawfulBasis::parser())]
    #[serde(deserialize_with = "enum_text::deserialize_list")]
    standing: Option<Vec<v1::LawfulBasis>>,
    /// Version of the consent notice, e.g. 2026-02,asks-again,language=de,valid-from=2026-12-01,sha256=HEX
    /// (repeatable, oldest first); an update adds it, or replaces the same version
    #[arg(long = "notice", value_name = "VERSION[,KEY=VALUE]")]
    notices: Option<Vec<Notice>>,
    /// Category of data that it may use (repeatable, or comma-separated) [default: the categories of its attributes]
    #[arg(long = "category", value_delimiter = ',')]
    categories: Option<Vec<String>>,
    /// Recipient that may receive its data (repeatable, or comma-separated) [default: all that are registered for it]
    #[arg(long = "recipient", value_delimiter = ',')]
    recipients: Option<Vec<String>>,
    /// Days after which data collected for it is no longer used; 0: unlimited
    #[arg(long)]
    retention_days: Option<u32>,
    /// Who is responsible for it
    #[arg(long)]
    owner: Option<String>,
    /// Citation of its law; required with legal-obligation and public-task
    #[arg(long)]
    law: Option<String>,
    #[command(flatten)]
    balancing_test: BalancingFields,
    /// The purpose sells or shares personal data: a Global Privacy Control signal opts out of it
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sale_or_sharing: Option<bool>,
    /// Google consent type that it represents, e.g. ad-storage (repeatable, or comma-separated)
    #[arg(long = "google", value_delimiter = ',', value_parser = v1::GoogleConsentType::parser())]
    #[serde(deserialize_with = "enum_text::deserialize_list")]
    google: Option<Vec<v1::GoogleConsentType>>,
    /// Google consent type that needs no consent, e.g. security-storage (repeatable, or comma-separated)
    #[arg(long = "google-without-consent", value_delimiter = ',', value_parser = v1::GoogleConsentType::parser())]
    #[serde(deserialize_with = "enum_text::deserialize_list")]
    google_without_consent: Option<Vec<v1::GoogleConsentType>>,
    /// Direct marketing: an objection beats every basis
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    direct_marketing: Option<bool>,
    /// data-subject-rights or legal-claims: goes on while processing is restricted
    #[arg(long, value_parser = v1::SpecialUse::parser())]
    #[serde(deserialize_with = "enum_text::deserialize")]
    special_use: Option<v1::SpecialUse>,
    /// Ground of GDPR Art. 9(2) on which it uses sensitive data, e.g. employment (repeatable, or comma-separated)
    #[arg(long = "special-category-ground", value_delimiter = ',', value_parser = v1::SpecialCategoryGround::parser())]
    #[serde(deserialize_with = "enum_text::deserialize_list")]
    special_category_grounds: Option<Vec<v1::SpecialCategoryGround>>,
    /// The purpose no longer permits anything
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    deprecated: Option<bool>,
}

/// Heading in the help.
const BALANCING: &str = "Balancing test, with legitimate-interests";

/// Required with legitimate-interests. In a file: `[balancing_test]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BalancingFields {
    /// The interest that is pursued
    #[arg(long, help_heading = BALANCING)]
    interest: Option<String>,
    /// Why the processing is necessary
    #[arg(long, help_heading = BALANCING)]
    necessity: Option<String>,
    /// Why the customer's interests do not override it
    #[arg(long, help_heading = BALANCING)]
    balance: Option<String>,
    /// Who reviewed the test
    #[arg(long, help_heading = BALANCING)]
    reviewer: Option<String>,
    /// Date of the review (YYYY-MM-DD)
    #[arg(long, help_heading = BALANCING)]
    reviewed_on: Option<String>,
    /// How the customer can object
    #[arg(long, help_heading = BALANCING)]
    objection_route: Option<String>,
}

/// The bases in one jurisdiction.
#[derive(Debug, Clone)]
struct BasesIn(v1::JurisdictionBases);

impl FromStr for BasesIn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (jurisdiction, bases) = text.split_once('=').ok_or("must be JURISDICTION=BASIS,BASIS")?;
        let bases = bases.split(',').map(str::trim).filter(|text| !text.is_empty());
        Self::new(jurisdiction, bases)
    }
}

impl BasesIn {
    fn new<'t>(jurisdiction: &str, bases: impl Iterator<Item = &'t str>) -> Result<Self, String> {
        let bases = bases.map(|text| v1::LawfulBasis::parse(text).map(i32::from));
        let (jurisdiction, lawful_bases) = (jurisdiction.to_owned(), bases.collect::<Result<_, _>>()?);
        Ok(Self(v1::JurisdictionBases { jurisdiction, lawful_bases }))
    }
}

/// In a file: `bases_in = { br = ["consent"] }`.
fn bases_by_jurisdiction<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<BasesIn>>, D::Error> {
    let lists = BTreeMap::<String, Vec<String>>::deserialize(deserializer)?;
    let one = |(jurisdiction, bases): (&String, &Vec<String>)| {
        BasesIn::new(jurisdiction, bases.iter().map(String::as_str))
    };
    lists.iter().map(one).collect::<Result<_, _>>().map(Some).map_err(D::Error::custom)
}

/// A notice. In a file: the version alone, the text of the option, or a table.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "NoticeForm")]
struct Notice(v1::NoticeVersion);

#[derive(Deserialize)]
#[serde(untagged)]
enum NoticeForm {
    Text(String),
    Table(NoticeTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoticeTable {
    version: String,
    #[serde(default)]
    sha256: String,
    #[serde(default)]
    language: String,
    #[serde(default)]
    asks_again: bool,
    valid_from: Option<String>,
}

impl TryFrom<NoticeForm> for Notice {
    type Error = String;

    fn try_from(form: NoticeForm) -> Result<Self, String> {
        let table = match form {
            NoticeForm::Text(text) => return text.parse(),
            NoticeForm::Table(table) => table,
        };
        Ok(Self(v1::NoticeVersion {
            version: table.version,
            text_sha256: table.sha256,
            language: table.language,
            asks_again: table.asks_again,
            valid_from: table.valid_from.as_deref().map(parse_time).transpose()?,
        }))
    }
}

impl FromStr for Notice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (version, parts) = parts(text, &[])?;
        let mut notice = v1::NoticeVersion { version: version.to_owned(), ..Default::default() };
        for part in parts {
            match part {
                ("asks-again", None) => notice.asks_again = true,
                ("language", Some(language)) => language.clone_into(&mut notice.language),
                ("valid-from", Some(time)) => notice.valid_from = Some(parse_time(time)?),
                ("sha256", Some(hash)) => hash.clone_into(&mut notice.text_sha256),
                _ => {
                    return Err(
                        "must be VERSION[,asks-again][,language=TAG][,valid-from=TIME][,sha256=HEX]".into()
                    );
                }
            }
        }
        Ok(Self(notice))
    }
}

impl Definition for PurposeFields {
    requests! {
        Purpose as purpose, named by id, changed as Purpose;
        CreatePurposeRequest, UpdatePurposeRequest, GetPurposeRequest, ListPurposesRequest
    }

    const REQUIRED: &'static [Required<v1::Purpose>] =
        &[("id", |purpose| !purpose.id.is_empty()), ("bases", |purpose| !purpose.lawful_bases.is_empty())];

    const COLUMNS: &'static [Column<v1::Purpose>] = &[
        ("PURPOSE", |purpose| purpose.id.clone()),
        ("NAME", |purpose| purpose.display_name.clone()),
        ("LAWFUL BASES", |purpose| enum_texts::<v1::LawfulBasis>(&purpose.lawful_bases)),
        ("STANDING", |purpose| or_dash(&enum_texts::<v1::LawfulBasis>(&purpose.standing_bases))),
        ("NEWEST NOTICE", |purpose| {
            purpose.notices.last().map_or("-", |notice| notice.version.as_str()).into()
        }),
        ("STATE", |purpose| if purpose.deprecated { "deprecated" } else { "in use" }.into()),
    ];

    fn apply(self, purpose: &mut v1::Purpose) {
        set_fields!(purpose, self, id, description, dpv, recipients, retention_days, owner, law);
        set_fields!(purpose, self, sale_or_sharing, direct_marketing, deprecated);
        set(&mut purpose.display_name, self.name);
        set(&mut purpose.lawful_bases, numbers(self.bases));
        let bases_in = self.bases_in.map(|all| all.into_iter().map(|BasesIn(one)| one).collect());
        set(&mut purpose.jurisdiction_bases, bases_in);
        set(&mut purpose.standing_bases, numbers(self.standing));
        for Notice(notice) in self.notices.unwrap_or_default() {
            match purpose.notices.iter_mut().find(|known| known.version == notice.version) {
                Some(known) => *known = notice,
                None => purpose.notices.push(notice),
            }
        }
        set(&mut purpose.data_categories, self.categories);
        if self.balancing_test != BalancingFields::default() {
            let (test, given) = (purpose.balancing_test.get_or_insert_default(), self.balancing_test);
            set_fields!(test, given, interest, necessity, balance, reviewer, reviewed_on, objection_route);
        }
        set(&mut purpose.google_consent_types, numbers(self.google));
        set(&mut purpose.google_types_without_consent, numbers(self.google_without_consent));
        set(&mut purpose.special_use, self.special_use.map(i32::from));
        set(&mut purpose.special_category_grounds, numbers(self.special_category_grounds));
    }

    fn facts(purpose: &v1::Purpose) -> String {
        let bases_in = |one: &v1::JurisdictionBases| {
            let bases = enum_texts::<v1::LawfulBasis>(&one.lawful_bases);
            format!("{}: {}", one.jurisdiction, or(&bases, "not allowed"))
        };
        let lines =
            |texts: &mut dyn Iterator<Item = String>| -> String { texts.collect::<Vec<_>>().join("\n") };
        let yes = |holds: bool| if holds { "yes".into() } else { String::new() };
        let special_use = enum_text::<v1::SpecialUse>(purpose.special_use);
        let letters = enum_texts::<v1::SpecialCategoryGround>(&purpose.special_category_grounds);
        let google = |types: &[i32]| enum_texts::<v1::GoogleConsentType>(types);
        let reviewed = |test: &v1::BalancingTest| format!("{}, {}", test.reviewed_on, test.reviewer);
        let reviewed = purpose.balancing_test.as_ref().map(reviewed).unwrap_or_default();
        let test = purpose.balancing_test.clone().unwrap_or_default();
        facts([
            ("description", purpose.description.clone()),
            ("W3C DPV", purpose.dpv.clone()),
            ("owner", purpose.owner.clone()),
            ("law", purpose.law.clone()),
            ("other bases in", lines(&mut purpose.jurisdiction_bases.iter().map(bases_in))),
            ("notices", lines(&mut purpose.notices.iter().map(notice_text))),
            ("categories of data", purpose.data_categories.join(", ")),
            ("recipients", purpose.recipients.join(", ")),
            ("retention", days_text(purpose.retention_days)),
            ("sells or shares", yes(purpose.sale_or_sharing)),
            ("direct marketing", yes(purpose.direct_marketing)),
            ("special use", if purpose.special_use == 0 { String::new() } else { special_use }),
            ("grounds of Art. 9(2)", letters),
            ("Google consent types", google(&purpose.google_consent_types)),
            ("of these without consent", google(&purpose.google_types_without_consent)),
            ("interest", test.interest),
            ("necessity", test.necessity),
            ("balance", test.balance),
            ("objection", test.objection_route),
            ("reviewed", reviewed),
            ("etag", purpose.etag.clone()),
        ])
    }
}

fn notice_text(notice: &v1::NoticeVersion) -> String {
    let mut text = notice.version.clone();
    if !notice.language.is_empty() {
        text.push_str(&format!(", {}", notice.language));
    }
    if notice.valid_from.is_some() {
        text.push_str(&format!(", from {}", time_text(notice.valid_from.as_ref())));
    }
    if notice.asks_again {
        text.push_str(", asks again");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> PurposeFields {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn an_update_keeps_fields_that_are_not_given() {
        let mut purpose = v1::Purpose::default();
        fields(
            r#"
            id = "offers"
            bases = ["consent", "legitimate-interests"]
            bases_in = { br = [], us-ca = ["consent"] }
            notices = ["2026-01", { version = "2026-02", asks_again = true, valid_from = "2026-12-01" }]
            google = ["ad-storage"]
            [balancing_test]
            interest = "to sell"
            reviewer = "DPO"
            "#,
        )
        .apply(&mut purpose);
        let before = purpose.clone();
        fields("law = \"GDPR\"\nnotices = [\"2026-01,language=de\", \"2026-03\"]").apply(&mut purpose);
        assert_eq!(purpose.law, "GDPR");
        let notices: Vec<_> = purpose.notices.iter().map(notice_text).collect();
        assert_eq!(notices, ["2026-01, de", "2026-02, from 2026-12-01T00:00:00Z, asks again", "2026-03"]);
        let same = v1::Purpose { law: String::new(), notices: before.notices.clone(), ..purpose };
        assert_eq!(same, before);
        assert_eq!(before.jurisdiction_bases.len(), 2);
        assert_eq!(before.balancing_test.unwrap().reviewer, "DPO");
    }

    #[test]
    fn a_notice_and_the_bases_of_a_jurisdiction_are_written_in_one_option() {
        let Notice(notice) = "2026-02,asks-again,language=de,valid-from=2026-12-01".parse().unwrap();
        assert!(notice.asks_again && notice.valid_from.is_some());
        assert_eq!(notice.language, "de");
        assert!("2026-02,ask-again".parse::<Notice>().unwrap_err().contains("asks-again"));
        let BasesIn(none) = "br=".parse().unwrap();
        assert_eq!((none.jurisdiction.as_str(), none.lawful_bases.len()), ("br", 0));
        let BasesIn(two) = "us-ca=consent,contract".parse().unwrap();
        assert_eq!(two.lawful_bases, [1, 2]);
        assert!("us-ca=hope".parse::<BasesIn>().unwrap_err().contains("legal-obligation"));
    }

    #[test]
    fn a_purpose_shows_its_balancing_test() {
        let balancing_test = v1::BalancingTest { necessity: "no other way".into(), ..Default::default() };
        let purpose =
            v1::Purpose { id: "fraud".into(), balancing_test: Some(balancing_test), ..Default::default() };
        let text = PurposeFields::facts(&purpose);
        assert!(text.contains("necessity") && text.contains("no other way"), "{text}");
        assert!(!text.contains("Google"), "absent fields are not shown: {text}");
    }
}
