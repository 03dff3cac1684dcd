//! Who may call what: the one table. A method that is not in it cannot be called, and a test over the compiled
//! descriptors holds that every RPC of ours stands in it, no more and no less.

use crate::identity::{
    Role::{Agent, Ingest, Node, Operator, Privacy},
    RoleSet,
};

/// Which gRPC service a method belongs to, so that routing is an index and not a search by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceId {
    Profile,
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
    /// How many there are.
    pub(crate) const COUNT: usize = 9;

    /// The service's full name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Profile => "custodia.v1.ProfileService",
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

    /// Its place among the services.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Profile => 0,
            Self::Consent => 1,
            Self::Catalog => 2,
            Self::Cluster => 3,
            Self::Peer => 4,
            Self::Health => 5,
            Self::Reflection => 6,
            Self::ReflectionAlpha => 7,
            Self::Preference => 8,
        }
    }
}

/// One message each way, or streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Unary,
    Streaming,
}

/// How much is done for a call before it first waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// So little, one stored value at most, that it is done in the task of its connection (`turn.rs`).
    Brief,
    /// Anything else is a task of its own: the other calls of its connection do not wait for it.
    Any,
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A caller that has one of these roles.
    Roles(RoleSet),
    /// Whoever the TLS layer let in, also without a role: health checks.
    Connected,
}

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Method {
    /// As in the request's path.
    pub(crate) path: &'static str,
    pub(crate) service: ServiceId,
    pub(crate) access: Access,
    pub(crate) shape: Shape,
    pub(crate) work: Work,
}

impl Method {
    /// Is it the one by which a node passes on a caller's call?
    pub(crate) fn is_forward(&self) -> bool {
        self.path == FORWARD
    }
}

const FORWARD: &str = "/custodia.internal.v1.PeerService/Forward";

const fn brief(service: ServiceId, path: &'static str, roles: RoleSet) -> Method {
    Method { path, service, access: Access::Roles(roles), shape: Shape::Unary, work: Work::Brief }
}

const fn unary(service: ServiceId, path: &'static str, roles: RoleSet) -> Method {
    Method { path, service, access: Access::Roles(roles), shape: Shape::Unary, work: Work::Any }
}

const fn streaming(service: ServiceId, path: &'static str, roles: RoleSet) -> Method {
    Method { path, service, access: Access::Roles(roles), shape: Shape::Streaming, work: Work::Any }
}

/// Reads of customers' data, for a stated purpose.
const READ: RoleSet = RoleSet::of(&[Agent, Ingest, Privacy]);
/// Writes of customers' data.
const WRITE: RoleSet = RoleSet::of(&[Ingest]);
/// Decisions of data subjects, recorded by the systems that ask them and by the privacy office.
const DECIDE: RoleSet = RoleSet::of(&[Ingest, Privacy]);
/// What happened to a data subject's decisions, and why: for the privacy office.
const ACCOUNT: RoleSet = RoleSet::of(&[Privacy]);
/// What the catalogue says; it holds no customer's data.
const CATALOGUE_READ: RoleSet = RoleSet::of(&[Agent, Ingest, Privacy, Operator]);
/// What may be kept, and why.
const CATALOGUE_WRITE: RoleSet = RoleSet::of(&[Privacy, Operator]);
/// Which rules hold for whom, and which application may read for what.
const LAW_WRITE: RoleSet = RoleSet::of(&[Privacy]);
/// Where the shards are: clients go straight to their leaders.
const MAP: RoleSet = RoleSet::of(&[Agent, Ingest, Privacy, Operator]);
/// How the catalogue came to be, and what of it is not used.
const CATALOGUE_AUDIT: RoleSet = RoleSet::of(&[Privacy, Operator]);
/// Running the cluster.
const OPERATE: RoleSet = RoleSet::of(&[Operator]);
/// Between nodes.
const PEER: RoleSet = RoleSet::of(&[Node]);
/// Reflection, where it is on.
const ANY_ROLE: RoleSet = RoleSet::of(&[Node, Agent, Ingest, Privacy, Operator]);

/// Every method that the node serves. The most frequent stand first: the search goes from the top.
pub(crate) const METHODS: &[Method] = &[
    brief(ServiceId::Profile, "/custodia.v1.ProfileService/GetProfile", READ),
    brief(ServiceId::Peer, "/custodia.internal.v1.PeerService/Call", PEER),
    unary(ServiceId::Peer, FORWARD, PEER),
    unary(ServiceId::Profile, "/custodia.v1.ProfileService/IngestProfile", WRITE),
    unary(ServiceId::Profile, "/custodia.v1.ProfileService/BatchGetProfiles", READ),
    unary(ServiceId::Profile, "/custodia.v1.ProfileService/AppendEvents", WRITE),
    unary(ServiceId::Profile, "/custodia.v1.ProfileService/ListEvents", READ),
    streaming(ServiceId::Profile, "/custodia.v1.ProfileService/IngestProfiles", WRITE),
    unary(ServiceId::Consent, "/custodia.v1.ConsentService/RecordConsent", DECIDE),
    unary(ServiceId::Consent, "/custodia.v1.ConsentService/WithdrawConsent", DECIDE),
    brief(ServiceId::Consent, "/custodia.v1.ConsentService/GetConsents", READ),
    unary(ServiceId::Consent, "/custodia.v1.ConsentService/ListConsentHistory", ACCOUNT),
    unary(ServiceId::Consent, "/custodia.v1.ConsentService/GetConsentsAsOf", ACCOUNT),
    unary(ServiceId::Consent, "/custodia.v1.ConsentService/ExplainDecision", ACCOUNT),
    brief(ServiceId::Consent, "/custodia.v1.ConsentService/GetDataSubject", DECIDE),
    unary(ServiceId::Consent, "/custodia.v1.ConsentService/UpdateDataSubject", DECIDE),
    unary(ServiceId::Consent, "/custodia.v1.ConsentService/RecordPrivacySignal", DECIDE),
    unary(ServiceId::Consent, "/custodia.v1.ConsentService/RecordTcString", DECIDE),
    brief(ServiceId::Consent, "/custodia.v1.ConsentService/GetTcString", READ),
    brief(ServiceId::Consent, "/custodia.v1.ConsentService/GetConsentMode", READ),
    unary(ServiceId::Consent, "/custodia.v1.ConsentService/ExportConsent", DECIDE),
    brief(ServiceId::Preference, "/custodia.v1.PreferenceService/GetPreferences", READ),
    unary(ServiceId::Preference, "/custodia.v1.PreferenceService/UpdatePreferences", DECIDE),
    brief(ServiceId::Preference, "/custodia.v1.PreferenceService/CheckContact", READ),
    unary(ServiceId::Preference, "/custodia.v1.PreferenceService/RecordContact", WRITE),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/CreatePurpose", CATALOGUE_WRITE),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/UpdatePurpose", CATALOGUE_WRITE),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/GetPurpose", CATALOGUE_READ),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/ListPurposes", CATALOGUE_READ),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/CreateAttribute", CATALOGUE_WRITE),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/UpdateAttribute", CATALOGUE_WRITE),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/GetAttribute", CATALOGUE_READ),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/ListAttributes", CATALOGUE_READ),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/ListUnusedAttributes", CATALOGUE_AUDIT),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/CreateJurisdiction", LAW_WRITE),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/UpdateJurisdiction", LAW_WRITE),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/GetJurisdiction", CATALOGUE_READ),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/ListJurisdictions", CATALOGUE_READ),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/CreateRecipient", LAW_WRITE),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/UpdateRecipient", LAW_WRITE),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/GetRecipient", CATALOGUE_READ),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/ListRecipients", CATALOGUE_READ),
    unary(ServiceId::Catalog, "/custodia.v1.CatalogService/ListCatalogChanges", CATALOGUE_AUDIT),
    unary(ServiceId::Cluster, "/custodia.v1.ClusterService/InitCluster", OPERATE),
    unary(ServiceId::Cluster, "/custodia.v1.ClusterService/GetClusterStatus", OPERATE),
    unary(ServiceId::Cluster, "/custodia.v1.ClusterService/ListShards", MAP),
    unary(ServiceId::Cluster, "/custodia.v1.ClusterService/ListNodes", MAP),
    unary(ServiceId::Cluster, "/custodia.v1.ClusterService/RotateKeys", OPERATE),
    streaming(ServiceId::Peer, "/custodia.internal.v1.PeerService/Exchange", PEER),
    Method {
        path: "/grpc.health.v1.Health/Check",
        service: ServiceId::Health,
        access: Access::Connected,
        shape: Shape::Unary,
        work: Work::Brief,
    },
    Method {
        path: "/grpc.health.v1.Health/Watch",
        service: ServiceId::Health,
        access: Access::Connected,
        shape: Shape::Streaming,
        work: Work::Any,
    },
    streaming(ServiceId::Reflection, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ANY_ROLE),
    streaming(
        ServiceId::ReflectionAlpha,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ANY_ROLE,
    ),
];

/// The row of a path, and its place in the table.
pub(crate) fn find(path: &str) -> Option<(usize, &'static Method)> {
    METHODS.iter().enumerate().find(|(_, method)| method.path == path)
}

/// May a caller with these roles make this public call? What a node asks before it serves a call that another node
/// has forwarded: the peer service and whatever is not of the public API are never forwarded.
pub(crate) fn may_forward(path: &str, roles: RoleSet) -> bool {
    find(path).is_some_and(|(_, method)| match (method.service, method.access) {
        (
            ServiceId::Profile
            | ServiceId::Consent
            | ServiceId::Preference
            | ServiceId::Catalog
            | ServiceId::Cluster,
            Access::Roles(allowed),
        ) => method.shape == Shape::Unary && allowed.intersects(roles),
        (
            ServiceId::Profile
            | ServiceId::Consent
            | ServiceId::Preference
            | ServiceId::Catalog
            | ServiceId::Cluster
            | ServiceId::Peer
            | ServiceId::Health
            | ServiceId::Reflection
            | ServiceId::ReflectionAlpha,
            Access::Roles(_) | Access::Connected,
        ) => false,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::identity::Role;

    /// Path and shape of every method in the compiled descriptors.
    fn described() -> BTreeMap<String, Shape> {
        let set = FileDescriptorSet::decode(custodia_proto::FILE_DESCRIPTOR_SET).expect("descriptors decode");
        let mut methods = BTreeMap::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let streams = method.client_streaming() || method.server_streaming();
                    methods.insert(path, if streams { Shape::Streaming } else { Shape::Unary });
                }
            }
        }
        methods
    }

    #[test]
    fn every_rpc_appears_in_the_table_no_more_no_less() {
        let listed: BTreeMap<String, Shape> = METHODS
            .iter()
            .filter(|method| method.path.starts_with("/custodia."))
            .map(|method| (method.path.to_owned(), method.shape))
            .collect();
        assert_eq!(listed, described());
        let distinct: std::collections::BTreeSet<&str> = METHODS.iter().map(|method| method.path).collect();
        assert_eq!(distinct.len(), METHODS.len(), "no path stands twice");
    }

    #[test]
    fn every_path_begins_with_its_service() {
        for method in METHODS {
            assert!(method.path.starts_with(&format!("/{}/", method.service.name())), "{}", method.path);
            assert!(method.service.index() < ServiceId::COUNT);
        }
    }

    #[test]
    fn operators_and_nodes_see_no_profile_data() {
        for method in METHODS {
            if matches!(method.service, ServiceId::Profile | ServiceId::Consent | ServiceId::Preference) {
                let Access::Roles(roles) = method.access else { panic!("{} is open", method.path) };
                assert!(!roles.contains(Operator) && !roles.contains(Node), "{}", method.path);
            }
        }
    }

    #[test]
    fn the_peer_service_is_for_nodes_alone() {
        for method in METHODS.iter().filter(|method| method.service == ServiceId::Peer) {
            assert_eq!(method.access, Access::Roles(RoleSet::of(&[Node])), "{}", method.path);
        }
    }

    #[test]
    fn agents_write_nothing() {
        let reads = ["Get", "BatchGet", "List", "Check", "Server"];
        for method in METHODS {
            let name = method.path.rsplit('/').next().expect("a name");
            if let Access::Roles(roles) = method.access
                && roles.contains(Agent)
            {
                assert!(reads.iter().any(|read| name.starts_with(read)), "{}", method.path);
            }
        }
    }

    #[test]
    fn forwarded_calls_are_held_to_the_same_table() {
        let get = "/custodia.v1.ProfileService/GetProfile";
        assert!(may_forward(get, RoleSet::of(&[Agent])));
        assert!(!may_forward(get, RoleSet::of(&[Operator])));
        assert!(!may_forward(get, RoleSet::NONE));
        let all: RoleSet = Role::ALL.into_iter().collect();
        assert!(!may_forward(FORWARD, all));
        assert!(!may_forward("/custodia.v1.ProfileService/IngestProfiles", all));
        assert!(!may_forward("/grpc.health.v1.Health/Check", all));
        assert!(!may_forward("/custodia.v1.ProfileService/NoSuchMethod", all));
    }
}
