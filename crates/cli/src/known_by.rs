//! Identifiers on the command line: `+49 30 901820`, `ana@example.org` or `loyalty-card=4006381333931`.

use custodia_proto::v1::{self, NamespaceKind};

use crate::connection::{Connection, pages};
use crate::error::CliError;

/// The start of every customer id.
const CUSTOMER_PREFIX: &str = "cust_";

/// Whom a command is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// A customer id.
    Customer(String),
    /// What a customer is known by.
    Identifier(v1::Identifier),
}

impl Whom {
    /// Reads a customer id or an identifier.
    pub(crate) async fn read(text: &str, connection: &Connection) -> Result<Self, CliError> {
        if text.starts_with(CUSTOMER_PREFIX) {
            return Ok(Self::Customer(text.to_owned()));
        }
        identifier(text, connection).await.map(Self::Identifier)
    }
}

/// Reads an identifier. Without a namespace, an address is of the one namespace of e-mail, and a number with `+` of the one of
/// telephones.
pub(crate) async fn identifier(text: &str, connection: &Connection) -> Result<v1::Identifier, CliError> {
    let of =
        |namespace: &str, value: &str| v1::Identifier { namespace: namespace.into(), value: value.into() };
    match written(text) {
        Some(Written::Named { namespace, value }) => Ok(of(namespace, value)),
        Some(Written::OfKind(kind)) => {
            let all = pages::all(&connection.client()?, v1::ListNamespacesRequest::default()).await?;
            let ids: Vec<_> =
                all.namespaces.iter().filter(|one| one.kind() == kind).map(|one| one.id.as_str()).collect();
            match ids.as_slice() {
                [id] => Ok(of(id, text)),
                [] => Err(nameless("the catalogue has no namespace of this kind")),
                _ => Err(nameless("the catalogue has several namespaces of this kind")),
            }
        }
        None => Err(nameless("it does not show its namespace")),
    }
}

fn nameless(why: &str) -> CliError {
    CliError::argument(
        "identifier",
        format!("must be NAMESPACE=VALUE, e.g. loyalty-card=4006381333931: {why}"),
    )
}

#[derive(Debug, PartialEq, Eq)]
enum Written<'a> {
    Named { namespace: &'a str, value: &'a str },
    OfKind(NamespaceKind),
}

fn written(text: &str) -> Option<Written<'_>> {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-')
    };
    if let Some((namespace, value)) = text.split_once('=').filter(|(name, _)| is_name(name)) {
        return Some(Written::Named { namespace, value });
    }
    if text.contains('@') {
        return Some(Written::OfKind(NamespaceKind::Email));
    }
    text.trim().starts_with('+').then_some(Written::OfKind(NamespaceKind::Phone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_names_its_namespace_or_shows_it() {
        let named = |namespace, value| Some(Written::Named { namespace, value });
        assert_eq!(written("loyalty-card=40 06"), named("loyalty-card", "40 06"));
        assert_eq!(written("email=a=b@example.org"), named("email", "a=b@example.org"));
        assert_eq!(written("ana@example.org"), Some(Written::OfKind(NamespaceKind::Email)));
        assert_eq!(written("A+x=y@example.org"), Some(Written::OfKind(NamespaceKind::Email)));
        assert_eq!(written(" +49 30 901820"), Some(Written::OfKind(NamespaceKind::Phone)));
        assert_eq!(written("030 901820"), None, "of which country?");
        assert_eq!(written("4006381333931"), None);
    }
}
