//! `custodia namespace`: what customers are found by.

use custodia_proto::{rpc::Unary, v1};
use serde::Deserialize;

use crate::catalog::definition::{Definition, Required, days_text, requests, set_fields};
use crate::text::enum_text::{self, EnumText, enum_text};
use crate::text::output::{Column, facts, or_dash};
use crate::text::set;

/// The fields of a namespace.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NamespaceFields {
    /// Id of the namespace: 1 to 32 of [a-z0-9-]
    #[arg(required_unless_present = "file")]
    id: Option<String>,
    /// Display name
    #[arg(long)]
    name: Option<String>,
    /// Description
    #[arg(long)]
    description: Option<String>,
    /// What its values are: email, phone or text
    #[arg(long, value_parser = v1::NamespaceKind::parser())]
    #[serde(deserialize_with = "enum_text::deserialize")]
    kind: Option<v1::NamespaceKind>,
    /// Up to 16 customers may have the same identifier, e.g. the telephone of a household
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    shared: Option<bool>,
    /// Identifiers that a customer may have, at most 64 [default: 16]
    #[arg(long, value_name = "COUNT")]
    per_customer_max: Option<u32>,
    /// Value that is nobody's; of mail addresses also name@ and @domain (repeatable)
    #[arg(long = "block", value_name = "VALUE")]
    blocked_values: Option<Vec<String>>,
    /// If the identifiers of one request belong to several customers, the largest priority decides
    #[arg(long)]
    priority: Option<u32>,
    /// Purpose for which its identifiers may be collected and looked up (repeatable, or comma-separated)
    #[arg(long = "purpose", value_delimiter = ',')]
    purposes: Option<Vec<String>>,
    /// Of telephone numbers: the country of those without a country code, e.g. DE
    #[arg(long, value_name = "COUNTRY")]
    default_region: Option<String>,
    /// Of texts: regular expression that the whole identifier must match
    #[arg(long, value_name = "REGEX")]
    pattern: Option<String>,
    /// Of texts: A is another identifier than a
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    case_sensitive: Option<bool>,
    /// Of mail addresses: name+tag is name, at any domain
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ignore_plus_tag: Option<bool>,
    /// Of mail addresses: domain at which n.ame is name, e.g. gmail.com (repeatable, or comma-separated)
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    ignore_dots_of: Option<Vec<String>>,
    /// The attribute whose values are these identifiers
    #[arg(long)]
    attribute: Option<String>,
    /// What follows when the identifiers of one request belong to two customers: propose or merge [default: propose]
    #[arg(long, value_parser = v1::LinkPolicy::parser())]
    #[serde(deserialize_with = "enum_text::deserialize")]
    on_conflict: Option<v1::LinkPolicy>,
    /// Days without an observation or a verification after which an identifier is stale [default: never]
    #[arg(long, value_name = "DAYS")]
    stale_after_days: Option<u32>,
}

impl Definition for NamespaceFields {
    requests! {
        Namespace as namespace, named by id, changed as Namespace;
        CreateNamespaceRequest, UpdateNamespaceRequest, GetNamespaceRequest, ListNamespacesRequest
    }

    const REQUIRED: &'static [Required<v1::Namespace>] = &[
        ("id", |namespace| !namespace.id.is_empty()),
        ("kind", |namespace| namespace.kind != 0),
        ("purposes", |namespace| !namespace.purposes.is_empty()),
    ];

    const COLUMNS: &'static [Column<v1::Namespace>] = &[
        ("NAMESPACE", |namespace| namespace.id.clone()),
        ("NAME", |namespace| or_dash(&namespace.display_name)),
        ("KIND", |namespace| enum_text::<v1::NamespaceKind>(namespace.kind)),
        ("HELD BY", |namespace| if namespace.shared { "up to 16 customers" } else { "one customer" }.into()),
        ("EACH HAS", |namespace| format!("up to {}", namespace.per_customer_max)),
        ("PURPOSES", |namespace| namespace.purposes.join(", ")),
        ("ATTRIBUTE", |namespace| or_dash(&namespace.attribute)),
        ("PRIORITY", |namespace| namespace.priority.to_string()),
    ];

    fn apply(self, namespace: &mut v1::Namespace) {
        set_fields!(
            namespace,
            self,
            id,
            description,
            shared,
            per_customer_max,
            blocked_values,
            priority,
            purposes,
            default_region,
            pattern,
            case_sensitive,
            ignore_plus_tag,
            ignore_dots_of,
            attribute,
            stale_after_days
        );
        set(&mut namespace.display_name, self.name);
        set(&mut namespace.kind, self.kind.map(i32::from));
        set(&mut namespace.on_conflict, self.on_conflict.map(i32::from));
    }

    fn facts(namespace: &v1::Namespace) -> String {
        let yes = |is_set: bool| if is_set { "yes".to_owned() } else { String::new() };
        facts([
            ("description", namespace.description.clone()),
            ("blocked values", namespace.blocked_values.join(", ")),
            ("default region", namespace.default_region.clone()),
            ("pattern", namespace.pattern.clone()),
            ("case sensitive", yes(namespace.case_sensitive)),
            ("ignores what follows +", yes(namespace.ignore_plus_tag)),
            ("ignores dots of", namespace.ignore_dots_of.join(", ")),
            ("on conflict", enum_text::<v1::LinkPolicy>(namespace.on_conflict)),
            ("stale after", days_text(namespace.stale_after_days)),
            ("etag", namespace.etag.clone()),
        ])
    }
}
