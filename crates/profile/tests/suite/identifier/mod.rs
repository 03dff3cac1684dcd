//! Identifiers: what a namespace is, and the normal forms of each kind (ID-2, GO-4).

mod change;
mod email;
mod ingest;
mod namespace;
mod normal_forms;
mod phone;
mod text;

pub(crate) use ingest::{catalogue, contract, identifier, with};

use custodia_profile::{LinkPolicy, Namespace, NamespaceFields, NamespaceKind, RefusalReason, Revision};

use crate::world::{SERVICE, purpose};

pub(crate) fn namespace_fields(id: &str, kind: NamespaceKind) -> NamespaceFields {
    NamespaceFields {
        id: id.parse().unwrap(),
        display_name: id.to_owned(),
        description: "What it is.".to_owned(),
        kind,
        unique: true,
        per_customer_max: 0,
        blocked_values: Vec::new(),
        priority: 0,
        purposes: vec![purpose(SERVICE)],
        default_region: None,
        pattern: String::new(),
        case_sensitive: false,
        ignore_plus_tag: false,
        ignore_dots_of: Vec::new(),
        attribute: None,
        on_conflict: LinkPolicy::Propose,
        stale_after_days: 0,
        revision: Revision::from_u64(1),
    }
}

fn namespace(fields: NamespaceFields) -> Namespace {
    Namespace::new(fields).unwrap()
}

fn normal(namespace: &Namespace, raw: &str) -> Result<String, RefusalReason> {
    namespace.normalise(raw).map(|value| value.as_str().to_owned())
}

fn holds(namespace: &Namespace, examples: &[(&str, &str)]) {
    for (raw, expected) in examples {
        assert_eq!(normal(namespace, raw).as_deref(), Ok(*expected), "{raw:?}");
    }
}

fn refuses(namespace: &Namespace, reason: RefusalReason, examples: &[&str]) {
    for raw in examples {
        assert_eq!(normal(namespace, raw), Err(reason), "{raw:?}");
    }
}
