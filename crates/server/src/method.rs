//! The methods that a node serves, and who may call them: the table generated from the options in the `.proto` files
//! (`custodia_proto::rpc::METHODS`), plus the methods of the standard services (health, reflection).
//!
//! Invariant: a method that is not in the table cannot be called.

use std::{collections::HashMap, sync::LazyLock};

use custodia_proto::rpc::{self, METHODS as OURS};

use crate::identity::{Role, RoleSet};

/// The gRPC service of a method. Routing by it is an array index, not a search by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceId {
    Profile,
    Identity,
    Duplicate,
    Consent,
    Preference,
    Catalog,
    Cluster,
    Peer,
    Health,
    Reflection,
    ReflectionAlpha,
}

impl ServiceId {
    /// The number of services.
    pub(crate) const COUNT: usize = 11;

    /// Those of the public API.
    pub(crate) const PUBLIC: [Self; 7] = [
        Self::Profile,
        Self::Identity,
        Self::Duplicate,
        Self::Consent,
        Self::Preference,
        Self::Catalog,
        Self::Cluster,
    ];

    const ALL: [Self; Self::COUNT] = [
        Self::Profile,
        Self::Identity,
        Self::Duplicate,
        Self::Consent,
        Self::Preference,
        Self::Catalog,
        Self::Cluster,
        Self::Peer,
        Self::Health,
        Self::Reflection,
        Self::ReflectionAlpha,
    ];

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// The service's full name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Profile => "custodia.v1.ProfileService",
            Self::Identity => "custodia.v1.IdentityService",
            Self::Duplicate => "custodia.v1.DuplicateService",
            Self::Consent => "custodia.v1.ConsentService",
            Self::Preference => "custodia.v1.PreferenceService",
            Self::Catalog => "custodia.v1.CatalogService",
            Self::Cluster => "custodia.v1.ClusterService",
            Self::Peer => "custodia.internal.v1.PeerService",
            Self::Health => "grpc.health.v1.Health",
            Self::Reflection => "grpc.reflection.v1.ServerReflection",
            Self::ReflectionAlpha => "grpc.reflection.v1alpha.ServerReflection",
        }
    }

    /// Its index, below [`Self::COUNT`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Callers with at least one of these roles.
    Roles(RoleSet),
    /// Every connected peer, even without a role: health checks.
    Connected,
}

/// A method that the node serves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Method {
    /// The request's path: `/custodia.v1.ProfileService/GetProfile`.
    pub(crate) path: &'static str,
    pub(crate) service: ServiceId,
    pub(crate) access: Access,
    pub(crate) is_streaming: bool,
    /// The call does little work before it first waits (at most one stored value is read), so it runs in the task of its
    /// connection.
    pub(crate) is_brief: bool,
    /// Other nodes call it for their callers or for the catalogue. Such calls have permits of their own, so they cannot
    /// delay votes and heartbeats.
    pub(crate) is_forward: bool,
    /// It changes nothing.
    pub(crate) is_read: bool,
    /// One node answers it, the leader of a customer's shard or of the directory, and the request names which.
    pub(crate) has_one_leader: bool,
    /// Whether the node that receives the call may forward it to another.
    may_be_forwarded: bool,
}

impl Method {
    fn ours(method: &'static rpc::Method) -> Option<Self> {
        let service = ServiceId::of(method.service)?;
        Some(Self {
            path: method.path,
            service,
            access: Access::Roles(method.roles.iter().filter_map(|role| Role::of_wire(*role)).collect()),
            is_streaming: method.is_streaming,
            is_brief: method.brief,
            is_forward: service == ServiceId::Peer && !method.is_streaming && !method.brief,
            is_read: method.retry == rpc::RetrySafety::Safe,
            has_one_leader: !method.is_streaming
                && matches!(
                    method.answered_by,
                    rpc::Answerer::CustomerLeader | rpc::Answerer::DirectoryLeader
                ),
            may_be_forwarded: !method.is_streaming && method.answered_by != rpc::Answerer::AnyNode,
        })
    }

    const fn foreign(
        path: &'static str,
        service: ServiceId,
        access: Access,
        is_streaming: bool,
        is_brief: bool,
    ) -> Self {
        Self {
            path,
            service,
            access,
            is_streaming,
            is_brief,
            is_forward: false,
            is_read: true,
            has_one_leader: false,
            may_be_forwarded: false,
        }
    }
}

/// Access to reflection, if it is enabled.
const ANY_ROLE: Access = Access::Roles(RoleSet::of(&Role::ALL));

const FOREIGN: [Method; 4] = [
    Method::foreign("/grpc.health.v1.Health/Check", ServiceId::Health, Access::Connected, false, true),
    Method::foreign("/grpc.health.v1.Health/Watch", ServiceId::Health, Access::Connected, true, false),
    Method::foreign(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ServiceId::Reflection,
        ANY_ROLE,
        true,
        false,
    ),
    Method::foreign(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ServiceId::ReflectionAlpha,
        ANY_ROLE,
        true,
        false,
    ),
];

/// Every method that the node serves.
pub(crate) static METHODS: LazyLock<Vec<Method>> =
    LazyLock::new(|| OURS.iter().filter_map(|method| Method::ours(method)).chain(FOREIGN).collect());

static BY_PATH: LazyLock<HashMap<&'static str, usize>> =
    LazyLock::new(|| METHODS.iter().enumerate().map(|(at, method)| (method.path, at)).collect());

/// The method at a path, and its index in [`METHODS`].
pub(crate) fn find(path: &str) -> Option<(usize, &'static Method)> {
    let at = *BY_PATH.get(path)?;
    Some((at, METHODS.get(at)?))
}

/// Whether a node may serve this call for another node, whose caller has these roles. The peer service and everything else
/// outside the public API are never forwarded.
pub(crate) fn may_forward(path: &str, roles: RoleSet) -> bool {
    find(path).is_some_and(|(_, method)| match method.access {
        Access::Roles(allowed) => method.may_be_forwarded && allowed.intersects(roles),
        Access::Connected => false,
    })
}

/// Whether the method at a path changes nothing.
pub(crate) fn is_read(path: &str) -> bool {
    find(path).is_some_and(|(_, method)| method.is_read)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::identity::Role::{Agent, Node, Operator};

    /// The path of each method in the compiled descriptors, and whether it streams.
    fn described() -> BTreeMap<String, bool> {
        let set = FileDescriptorSet::decode(custodia_proto::FILE_DESCRIPTOR_SET).expect("descriptors decode");
        let mut methods = BTreeMap::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let streams = method.client_streaming() || method.server_streaming();
                    methods.insert(path, streams);
                }
            }
        }
        methods
    }

    #[test]
    fn the_table_has_exactly_the_rpcs() {
        let listed: BTreeMap<String, bool> = METHODS
            .iter()
            .filter(|method| method.path.starts_with("/custodia."))
            .map(|method| (method.path.to_owned(), method.is_streaming))
            .collect();
        assert_eq!(listed, described());
        let distinct: std::collections::BTreeSet<&str> = METHODS.iter().map(|method| method.path).collect();
        assert_eq!(distinct.len(), METHODS.len(), "no path appears twice");
    }

    #[test]
    fn every_path_begins_with_its_service() {
        for method in &*METHODS {
            assert!(method.path.starts_with(&format!("/{}/", method.service.name())), "{}", method.path);
            assert!(method.service.index() < ServiceId::COUNT);
        }
    }

    #[test]
    fn operators_and_nodes_see_no_profile_data() {
        for method in &*METHODS {
            let is_of_customers = matches!(
                method.service,
                ServiceId::Profile
                    | ServiceId::Identity
                    | ServiceId::Duplicate
                    | ServiceId::Consent
                    | ServiceId::Preference
            );
            if is_of_customers {
                let Access::Roles(roles) = method.access else { panic!("{} is open", method.path) };
                assert!(!roles.contains(Operator) && !roles.contains(Node), "{}", method.path);
            }
        }
    }

    #[test]
    fn only_nodes_may_call_the_peer_service() {
        for method in METHODS.iter().filter(|method| method.service == ServiceId::Peer) {
            assert_eq!(method.access, Access::Roles(RoleSet::of(&[Node])), "{}", method.path);
        }
    }

    /// What a caller says is recorded, of one customer at a time; law and catalogue are not an agent's.
    #[test]
    fn agents_write_what_a_caller_says_and_nothing_else() {
        let reads = ["Get", "BatchGet", "BatchCheck", "List", "Check", "Lookup", "BatchLookup", "Server"];
        let writes = [
            "IngestProfile",
            "AppendEvents",
            "RecordConsent",
            "WithdrawConsent",
            "WithdrawAllConsents",
            "RecordPrivacySignal",
            "UpdatePreferences",
            "RecordContact",
            "UpdateIdentifier",
            "ReleaseIdentifier",
        ];
        for method in &*METHODS {
            let name = method.path.rsplit('/').next().expect("a name");
            let Access::Roles(roles) = method.access else { continue };
            let is_for_agents = reads.iter().any(|read| name.starts_with(read)) || writes.contains(&name);
            assert!(is_for_agents || !roles.contains(Agent), "{}", method.path);
            assert!(roles.contains(Agent) || !writes.contains(&name), "{}", method.path);
        }
    }

    #[test]
    fn forwarded_calls_obey_the_same_table() {
        let get = "/custodia.v1.ProfileService/GetProfile";
        assert!(may_forward(get, RoleSet::of(&[Agent])));
        assert!(!may_forward(get, RoleSet::of(&[Operator])));
        assert!(!may_forward(get, RoleSet::NONE));
        let all: RoleSet = Role::ALL.into_iter().collect();
        assert!(!may_forward("/custodia.internal.v1.PeerService/Forward", all));
        assert!(!may_forward("/custodia.v1.ProfileService/IngestProfiles", all));
        assert!(!may_forward("/grpc.health.v1.Health/Check", all));
        assert!(!may_forward("/custodia.v1.ProfileService/NoSuchMethod", all));
        assert!(
            !may_forward("/custodia.v1.ClusterService/InitCluster", all),
            "the receiving node answers it"
        );
        assert!(may_forward("/custodia.v1.ClusterService/RotateKeys", all));
    }
}
