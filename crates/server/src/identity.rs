//! Who is calling: roles, the caller, and how a certificate names both.
//!
//! ```text
//! X.509 subjectAltName URI   spiffe://custodia/<role>/<name>
//!                                              │      └ 1 to 64 of [a-zA-Z0-9._-]
//!                                              └ node | agent | ingest | privacy | operator
//! ```
//!
//! A certificate may carry several such URIs: the roles add up, the name is that of the first. URIs of another trust
//! domain are ignored, and so is one of ours that does not parse. So a certificate without a well-formed URI of ours
//! gives no role, and without a role no call is allowed. The subject's common name is never used.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, atomic::AtomicU64},
};

use crate::NodeId;
use custodia_proto::v1;
use rustls_pki_types::{CertificateDer, ServerName};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

/// The scheme and the trust domain, with which every identity of ours starts.
const PREFIX: &str = "spiffe://custodia/";

/// The longest name of a caller, in bytes.
pub(crate) const CALLER_NAME_BYTES_MAX: usize = 64;

/// What a caller may be. The method table says what each role may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Another node of the cluster. Only a certificate gives this role, never a token.
    Node,
    /// An agent's desktop or an engagement application: reads for a stated purpose.
    Agent,
    /// A source system: writes profiles, events and consents.
    Ingest,
    /// The privacy office: consents, reads, the catalogue.
    Privacy,
    /// Operates the cluster; sees no profile data.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Node, Self::Agent, Self::Ingest, Self::Privacy, Self::Operator];

    /// The role's word in certificates, token files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Agent => "agent",
            Self::Ingest => "ingest",
            Self::Privacy => "privacy",
            Self::Operator => "operator",
        }
    }

    /// The role as the options of methods name it.
    pub(crate) const fn on_the_wire(self) -> v1::Role {
        match self {
            Self::Node => v1::Role::Node,
            Self::Agent => v1::Role::Agent,
            Self::Ingest => v1::Role::Ingest,
            Self::Privacy => v1::Role::Privacy,
            Self::Operator => v1::Role::Operator,
        }
    }

    /// The role that the options of a method name; nothing for none.
    pub(crate) fn of_wire(role: v1::Role) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.on_the_wire() == role)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Node => 1,
            Self::Agent => 1 << 1,
            Self::Ingest => 1 << 2,
            Self::Privacy => 1 << 3,
            Self::Operator => 1 << 4,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of node, agent, ingest, privacy, operator")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(UnknownRole)
    }
}

/// A set of roles, as one byte: the check on every call is one `and`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct RoleSet(u8);

impl RoleSet {
    /// No role.
    pub const NONE: Self = Self(0);

    /// These roles.
    pub const fn of(roles: &[Role]) -> Self {
        let mut bits = 0;
        let mut rest = roles;
        while let [role, tail @ ..] = rest {
            bits |= role.bit();
            rest = tail;
        }
        Self(bits)
    }

    /// This set and one more.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | role.bit())
    }

    /// Is the role in the set?
    pub const fn contains(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Do the sets have a role in common?
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Is the set empty?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

impl FromIterator<Role> for RoleSet {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, role) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            f.write_str(role.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoleSet({self})")
    }
}

/// An authenticated caller. In the extensions of every request that reaches a handler of the public API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name in the certificate or of the token.
    pub name: Arc<str>,
    /// Its roles.
    pub roles: RoleSet,
}

/// The authenticated node at the other end. In the extensions of every request to the peer service.
#[derive(Debug, Clone)]
pub struct PeerNode {
    /// The number that its certificate names.
    pub node: NodeId,
    /// The certificate. Another cluster of the same authority has a node of this number too, so the number proves little.
    pub certificate: Arc<CertificateDer<'static>>,
    /// The version of the shard map by which it was last found to be a node of this cluster; 0 before that. One for all calls
    /// of its connection.
    pub(crate) member_as_of: Arc<AtomicU64>,
}

impl PeerNode {
    /// The node of a new connection.
    pub(crate) fn new(node: NodeId, certificate: CertificateDer<'static>) -> Self {
        Self { node, certificate: Arc::new(certificate), member_as_of: Arc::default() }
    }
}

/// What this node's own certificate must name.
#[derive(Debug, Clone)]
pub(crate) struct OwnName {
    pub(crate) node: NodeId,
    /// Under which clients and other nodes connect.
    pub(crate) host: ServerName<'static>,
}

/// What a certificate says about its bearer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The caller, where the certificate gives at least one role.
    pub caller: Option<Caller>,
    /// The node, where the certificate gives the role `node` with the name `<id>` or `node-<id>`.
    pub node: Option<NodeId>,
}

impl Identity {
    /// Reads the identities from a certificate that the TLS layer has verified. Never fails: what is unreadable gives no
    /// role.
    pub fn of_certificate(der: &[u8]) -> Self {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Self::default() };
        let Ok(Some(names)) = certificate.subject_alternative_name() else { return Self::default() };
        let uris = names
            .value
            .general_names
            .iter()
            .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None });
        Self::of_uris(uris)
    }

    fn of_uris<'a>(uris: impl Iterator<Item = &'a str>) -> Self {
        let mut identity = Self::default();
        for (role, name) in uris.filter_map(parse_uri) {
            match &mut identity.caller {
                Some(caller) => caller.roles = caller.roles.with(role),
                None => identity.caller = Some(Caller { name: name.into(), roles: RoleSet::of(&[role]) }),
            }
            if role == Role::Node {
                identity.node = identity.node.or_else(|| parse_node(name));
            }
        }
        identity
    }
}

fn parse_uri(uri: &str) -> Option<(Role, &str)> {
    let (role, name) = uri.strip_prefix(PREFIX)?.split_once('/')?;
    Some((role.parse().ok()?, is_caller_name(name).then_some(name)?))
}

/// Is this a valid name of a caller?
pub fn is_caller_name(name: &str) -> bool {
    (1..=CALLER_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn parse_node(name: &str) -> Option<NodeId> {
    name.strip_prefix("node-").unwrap_or(name).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(uris: &[&str]) -> Identity {
        Identity::of_uris(uris.iter().copied())
    }

    #[test]
    fn a_uri_gives_its_role_and_name() {
        let caller = identity(&["spiffe://custodia/agent/desk-7"]).caller.expect("a caller");
        assert_eq!((&*caller.name, caller.roles), ("desk-7", RoleSet::of(&[Role::Agent])));
    }

    #[test]
    fn roles_add_up_and_the_first_name_stays() {
        let caller = identity(&["spiffe://custodia/privacy/dpo", "spiffe://custodia/operator/other"])
            .caller
            .expect("a caller");
        assert_eq!((&*caller.name, caller.roles), ("dpo", RoleSet::of(&[Role::Privacy, Role::Operator])));
    }

    #[test]
    fn malformed_and_foreign_uris_give_no_role() {
        let long = format!("spiffe://custodia/agent/{}", "x".repeat(65));
        for uri in [
            "",
            "spiffe://custodia/agent",
            "spiffe://custodia/agent/",
            "spiffe://custodia/admin/x",
            "spiffe://custodia/Agent/x",
            "spiffe://custodia/agent/x/y",
            "spiffe://custodia//x",
            "spiffe://custodia/agent/a b",
            "spiffe://other/agent/x",
            "https://custodia/agent/x",
            &long,
        ] {
            assert_eq!(identity(&[uri]), Identity::default(), "{uri}");
        }
    }

    #[test]
    fn a_node_is_named_by_its_number() {
        let three = Some("3".parse().expect("a node id"));
        assert_eq!(identity(&["spiffe://custodia/node/3"]).node, three);
        assert_eq!(identity(&["spiffe://custodia/node/node-3"]).node, three);
        assert_eq!(identity(&["spiffe://custodia/agent/3"]).node, None);
        let unnumbered = identity(&["spiffe://custodia/node/alpha"]);
        assert_eq!(
            (unnumbered.node, unnumbered.caller.expect("a caller").roles),
            (None, RoleSet::of(&[Role::Node]))
        );
    }

    #[test]
    fn bytes_that_are_no_certificate_give_no_role() {
        assert_eq!(Identity::of_certificate(b"\x30\x03\x02\x01\x00"), Identity::default());
        assert_eq!(Identity::of_certificate(&[]), Identity::default());
    }

    #[test]
    fn every_role_parses_from_its_own_name() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
    }
}
