//! A method for every unary method of the public API, generated from the `.proto` files.

use std::collections::BTreeMap;

use custodia_proto::{rpc::Unary as _, v1};

use crate::client::Client;
use crate::error::ClientError;
use crate::route_policy::RoutePolicy;

macro_rules! methods {
    ($($(#[$doc:meta])* $path:literal $name:ident($request:ident) -> $answer:ident as $handler:ident;)*) => {
        impl Client {
            $( method! { $(#[$doc])* $name($request) -> $answer } )*
        }
    };
}

macro_rules! method {
    // Written below.
    ($(#[$doc:meta])* batch_get_profiles($request:ident) -> $answer:ident) => {};
    ($(#[$doc:meta])* $name:ident($request:ident) -> $answer:ident) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// What the cluster answered, or why no answer came within the deadline.
        pub async fn $name(&self, request: v1::$request) -> Result<v1::$answer, ClientError> {
            self.call(request).await
        }
    };
}

custodia_proto::unary_methods!(methods);

impl Client {
    /// Up to 500 profiles, in the order of the ids; each leader is asked for its own part, side by side.
    ///
    /// # Errors
    /// What the cluster answered, or why no answer came within the deadline. A profile that alone could not be
    /// read carries its error in its place.
    pub async fn batch_get_profiles(
        &self,
        request: v1::BatchGetProfilesRequest,
    ) -> Result<v1::BatchGetProfilesResponse, ClientError> {
        let parts = self.parts_by_leader(&request.customer_ids).await;
        if parts.len() <= 1 {
            return self.batch_part(request).await;
        }
        let asked = parts.values().map(|places| {
            let ids = places.iter().filter_map(|place| request.customer_ids.get(*place).cloned()).collect();
            let part = v1::BatchGetProfilesRequest {
                customer_ids: ids,
                purpose: request.purpose.clone(),
                read_mask: request.read_mask.clone(),
                verdicts: request.verdicts,
            };
            self.batch_part(part)
        });
        let answers = futures::future::try_join_all(asked).await?;
        let mut in_place: Vec<_> = parts
            .values()
            .zip(answers)
            .flat_map(|(places, answer)| places.iter().copied().zip(answer.profiles))
            .collect();
        in_place.sort_by_key(|(place, _)| *place);
        Ok(v1::BatchGetProfilesResponse { profiles: in_place.into_iter().map(|(_, one)| one).collect() })
    }

    /// Goes to the leader of the first customer.
    async fn batch_part(
        &self,
        part: v1::BatchGetProfilesRequest,
    ) -> Result<v1::BatchGetProfilesResponse, ClientError> {
        let first = part.customer_ids.first().map_or("", String::as_str);
        let policy = RoutePolicy::about(first, v1::BatchGetProfilesRequest::METHOD.retry);
        self.call_by(policy, &part).await
    }

    /// The places of the ids, grouped by the node that leads them. A batch over the server's limit stays whole,
    /// so that the server refuses it.
    async fn parts_by_leader(&self, ids: &[String]) -> BTreeMap<String, Vec<usize>> {
        let mut parts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        if ids.len() > BATCH_IDS_MAX {
            return parts;
        }
        self.shared.ensure_map(tokio::time::Instant::now() + self.deadline).await;
        for (place, id) in ids.iter().enumerate() {
            let leader = id.parse().ok().and_then(|customer| self.shared.leader_of(customer));
            parts.entry(leader.unwrap_or_default()).or_default().push(place);
        }
        parts
    }
}

/// The server's limit of ids in one batch.
const BATCH_IDS_MAX: usize = 500;
