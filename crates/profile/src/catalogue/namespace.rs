//! Owns a namespace of identifiers: what its values look like, how many customers hold one and how many one customer holds,
//! and what they may be used for (ID-2, GO-4). Always: used for at least one purpose; a stored identifier keeps its meaning,
//! so kind, uniqueness and normal form never change; an identifier is personal data, whatever the namespace.

use std::ops::Deref;

use super::check_list;
use crate::{
    error::ProfileError,
    id::{AttributeNumber, NamespaceId, PurposeNumber, Region, Revision},
    identifier::{EmailRules, IdentifierValue, NormalForm, Normaliser, PhoneRules, TextRules, normal_domain},
    label::check_text,
    limits::{
        BLOCKED_VALUES_MAX, CUSTOMER_IDENTIFIERS_DEFAULT, CUSTOMER_IDENTIFIERS_MAX, DESCRIPTION_BYTES_MAX,
        DISPLAY_NAME_BYTES_MAX, DOTLESS_DOMAINS_MAX, IDENTIFIER_BYTES_MAX, NAMESPACE_BYTES_MAX,
        NAMESPACE_PATTERN_BYTES_MAX, NAMESPACE_PURPOSES_MAX, STALE_DAYS_MAX,
    },
    numbered::numbered,
    reason::RefusalReason,
};

numbered! {
    /// What the values of a namespace are. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum NamespaceKind ("kind", expected "a kind of namespace") {
        /// Mail addresses.
        Email = 1,
        /// Telephone numbers.
        Phone = 2,
        /// All others: accounts, cards, devices, social handles, ids of a source.
        Text = 3,
    }
}

numbered! {
    /// What follows when the identifiers of one request belong to two customers. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum LinkPolicy ("on_conflict", expected "a link policy") {
        /// A person decides.
        Propose = 1,
        /// The two are merged.
        Merge = 2,
    }
}

/// A namespace's fields before they are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceFields {
    /// The name that callers use; at most 32 bytes.
    pub id: NamespaceId,
    /// The name for people.
    pub display_name: String,
    /// The definition for people.
    pub description: String,
    /// What its values are.
    pub kind: NamespaceKind,
    /// Whether one customer at most holds an identifier. If not, up to 16 share it, e.g. the telephone of a household.
    pub unique: bool,
    /// How many of them one customer holds at most: up to 64; 0: 16.
    pub per_customer_max: u8,
    /// Values that are nobody's, besides the built-in ones; compared in normal form and without case. For mail addresses,
    /// `local@` stands for the local part at any domain, and `@domain` for every address of the domain.
    pub blocked_values: Vec<String>,
    /// Which namespace decides if the identifiers of one request belong to several customers: the larger number.
    pub priority: u32,
    /// For which purposes its identifiers may be collected and looked up.
    pub purposes: Vec<PurposeNumber>,
    /// Telephone: the country of numbers that are written without a country code; none: such numbers are refused.
    pub default_region: Option<Region>,
    /// Text: a regular expression that the whole normal form must match; empty: any.
    pub pattern: String,
    /// Text: whether `A` is another identifier than `a`.
    pub case_sensitive: bool,
    /// Mail address: whether `name+tag` is `name`, at any domain.
    pub ignore_plus_tag: bool,
    /// Mail address: the domains at which `n.ame` is `name`, in normal form.
    pub ignore_dots_of: Vec<String>,
    /// The attribute whose values are identifiers of this namespace: of type text, and of no other namespace.
    pub attribute: Option<AttributeNumber>,
    /// What follows when the identifiers of one request belong to two customers.
    pub on_conflict: LinkPolicy,
    /// After how many days without a sign of it an identifier is stale; 0: never.
    pub stale_after_days: u32,
    /// The entry's revision: its etag.
    pub revision: Revision,
}

/// A namespace of identifiers. Dereferences to its fields; `per_customer_max` is never 0, and `ignore_dots_of` is in normal
/// form and ascending.
#[derive(Debug, Clone)]
pub struct Namespace {
    fields: NamespaceFields,
    /// Made of the fields, once.
    normaliser: Normaliser,
}

impl Namespace {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field and the limit; `Malformed` for a pattern that is no regular expression, a region without telephone
    /// numbers, and what another kind of namespace has.
    pub fn new(mut fields: NamespaceFields) -> Result<Self, ProfileError> {
        check_text("namespace.display_name", &fields.display_name, DISPLAY_NAME_BYTES_MAX)?;
        check_text("namespace.description", &fields.description, DESCRIPTION_BYTES_MAX)?;
        if fields.id.as_str().len() > NAMESPACE_BYTES_MAX {
            return Err(ProfileError::TooLong { field: "namespace.id", bytes_max: NAMESPACE_BYTES_MAX });
        }
        if fields.purposes.is_empty() {
            return Err(ProfileError::Empty { field: "namespace.purposes" });
        }
        check_list("namespace.purposes", &fields.purposes, NAMESPACE_PURPOSES_MAX)?;
        if fields.per_customer_max > CUSTOMER_IDENTIFIERS_MAX {
            return Err(ProfileError::Malformed {
                field: "namespace.per_customer_max",
                expected: "at most 64",
            });
        }
        if fields.per_customer_max == 0 {
            fields.per_customer_max = CUSTOMER_IDENTIFIERS_DEFAULT;
        }
        if fields.stale_after_days > STALE_DAYS_MAX {
            return Err(ProfileError::Malformed {
                field: "namespace.stale_after_days",
                expected: "at most 3650",
            });
        }
        check_blocked(&fields.blocked_values)?;
        check_kind(&fields)?;
        let form = match fields.kind {
            NamespaceKind::Email => NormalForm::Email(email_rules(&mut fields)?),
            NamespaceKind::Phone => NormalForm::Phone(phone_rules(&fields)?),
            NamespaceKind::Text => NormalForm::Text(text_rules(&fields)?),
        };
        let normaliser = Normaliser::new(form, &fields.blocked_values);
        Ok(Self { fields, normaliser })
    }

    /// The normal form of a value as a source wrote it. Idempotent.
    ///
    /// # Errors
    /// `IdentifierInvalid`, or `IdentifierBlocked` for a placeholder and a blocked value.
    pub fn normalise(&self, raw: &str) -> Result<IdentifierValue, RefusalReason> {
        self.normaliser.normalise(raw)
    }

    /// Whether its identifiers may be collected and looked up for the purpose.
    #[must_use]
    pub fn allows(&self, purpose: PurposeNumber) -> bool {
        self.purposes.contains(&purpose)
    }

    /// Identifiers that are stored must keep their meaning.
    pub(super) fn check_replacement(&self, new: &Self) -> Result<(), ProfileError> {
        let changes = [
            ("namespace.kind", self.kind != new.kind),
            ("namespace.unique", self.unique != new.unique),
            ("namespace.case_sensitive", self.case_sensitive != new.case_sensitive),
            ("namespace.ignore_plus_tag", self.ignore_plus_tag != new.ignore_plus_tag),
            ("namespace.ignore_dots_of", self.ignore_dots_of != new.ignore_dots_of),
        ];
        match changes.into_iter().find(|(_, changed)| *changed) {
            Some((field, _)) => Err(ProfileError::Immutable { field }),
            None => Ok(()),
        }
    }
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl Eq for Namespace {}

impl Deref for Namespace {
    type Target = NamespaceFields;

    fn deref(&self) -> &NamespaceFields {
        &self.fields
    }
}

fn check_blocked(values: &[String]) -> Result<(), ProfileError> {
    let field = "namespace.blocked_values";
    check_list(field, values, BLOCKED_VALUES_MAX)?;
    for value in values {
        check_text(field, value, IDENTIFIER_BYTES_MAX)?;
        if value.trim().is_empty() {
            return Err(ProfileError::Empty { field });
        }
    }
    Ok(())
}

/// Whether only the fields of the namespace's kind are set.
fn check_kind(fields: &NamespaceFields) -> Result<(), ProfileError> {
    let of_email = "none unless the kind is EMAIL";
    let of_phone = "none unless the kind is PHONE";
    let of_text = "none unless the kind is TEXT";
    let set = [
        ("namespace.ignore_plus_tag", NamespaceKind::Email, fields.ignore_plus_tag, of_email),
        ("namespace.ignore_dots_of", NamespaceKind::Email, !fields.ignore_dots_of.is_empty(), of_email),
        ("namespace.default_region", NamespaceKind::Phone, fields.default_region.is_some(), of_phone),
        ("namespace.pattern", NamespaceKind::Text, !fields.pattern.is_empty(), of_text),
        ("namespace.case_sensitive", NamespaceKind::Text, fields.case_sensitive, of_text),
    ];
    match set.into_iter().find(|(_, owner, is_set, _)| *is_set && *owner != fields.kind) {
        Some((field, _, _, expected)) => Err(ProfileError::Malformed { field, expected }),
        None => Ok(()),
    }
}

fn email_rules(fields: &mut NamespaceFields) -> Result<EmailRules, ProfileError> {
    let field = "namespace.ignore_dots_of";
    let domains = fields.ignore_dots_of.iter().map(|domain| normal_domain(domain));
    let mut domains = domains
        .collect::<Option<Vec<_>>>()
        .ok_or(ProfileError::Malformed { field, expected: "mail domains, e.g. gmail.com" })?;
    check_list(field, &domains, DOTLESS_DOMAINS_MAX)?;
    domains.sort_unstable();
    fields.ignore_dots_of = domains.clone();
    Ok(EmailRules { ignore_plus_tag: fields.ignore_plus_tag, ignore_dots_of: domains.into_iter().collect() })
}

fn phone_rules(fields: &NamespaceFields) -> Result<PhoneRules, ProfileError> {
    let region = fields.default_region.as_ref().map(Region::as_str);
    PhoneRules::of_country(region).ok_or(ProfileError::Malformed {
        field: "namespace.default_region",
        expected: "the ISO 3166-1 alpha-2 code of a country with telephone numbers",
    })
}

fn text_rules(fields: &NamespaceFields) -> Result<TextRules, ProfileError> {
    let field = "namespace.pattern";
    check_text(field, &fields.pattern, NAMESPACE_PATTERN_BYTES_MAX)?;
    TextRules::new(fields.case_sensitive, &fields.pattern).ok_or(ProfileError::Malformed {
        field,
        expected: "a regular expression, without look-around and back references",
    })
}
