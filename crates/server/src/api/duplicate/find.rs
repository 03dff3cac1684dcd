//! FindDuplicates: who may be the same person as one customer.

use std::time::Duration;

use custodia_profile::{RefusalReason, Verdict};
use custodia_proto::v1;
use tokio::time::Instant;

use super::convert;
use crate::{
    catalogue::CatalogueView,
    shard::{CustomerRead, Found, ProfileView, ReadAccess, Similar, score_message},
    wire::ServiceError,
};

/// Results: if the caller does not say, and at most.
const RESULTS_DEFAULT: usize = 20;
const RESULTS_MAX: usize = 100;
/// How long the other nodes are waited for; a call with an earlier deadline ends before.
const PATIENCE: Duration = Duration::from_secs(30);

impl CustomerRead for v1::FindDuplicatesRequest {
    type Query = usize;
    const ACCESS: ReadAccess = ReadAccess::Permitted;

    fn parse(&self, _view: &CatalogueView) -> Result<usize, ServiceError> {
        match usize::try_from(self.results_max) {
            Ok(0) => Ok(RESULTS_DEFAULT),
            Ok(stated) if stated <= RESULTS_MAX => Ok(stated),
            Ok(_) | Err(_) => Err(ServiceError::invalid("results_max", "expected a number from 0 to 100")),
        }
    }

    async fn answer(
        results_max: usize,
        profile: ProfileView<'_>,
    ) -> Result<v1::FindDuplicatesResponse, ServiceError> {
        // The controller too: a restriction (GDPR Art. 18) ends all uses but those that the purpose has a special use for.
        if let Verdict::Refuse(reason @ RefusalReason::ProcessingRestricted) = profile.permission.verdict() {
            return Err(ServiceError::PurposeRefused { reason, purpose: profile.purpose.id.clone() });
        }
        let (location, catalogue) = (profile.location, &profile.view.catalogue);
        let deadline = Instant::now() + PATIENCE;
        let finding = profile.context.find_duplicates(location, profile.record(), catalogue, deadline);
        let Found { mut similar, cluster, model } = Box::pin(finding).await?;
        similar.truncate(results_max);
        let candidate = |Similar { customer, score, decision }: Similar| v1::DuplicateCandidate {
            customer_id: customer.to_string(),
            score: Some(score_message(&score)),
            decision: decision.map_or(0, |decision| decision.number().into()),
        };
        Ok(v1::FindDuplicatesResponse {
            candidates: similar.into_iter().map(candidate).collect(),
            cluster: cluster.iter().map(ToString::to_string).collect(),
            model: Some(convert::model(&model)),
        })
    }
}
