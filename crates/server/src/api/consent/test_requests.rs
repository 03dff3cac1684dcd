//! Requests of the consent service, for the tests of the services.

use custodia_profile::RequestId;
use custodia_proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::{cluster_for_tests::evidence, write::derived_customer};

/// The id of a customer of whom nothing is known.
pub(crate) fn new_customer() -> String {
    derived_customer("tests", RequestId::new(Uuid::now_v7()).expect("an id")).to_string()
}

/// A consent, but for the customer.
pub(crate) fn given(purpose: &str) -> v1::RecordConsentRequest {
    v1::RecordConsentRequest {
        purpose: purpose.to_owned(),
        status: v1::ConsentStatus::Given.into(),
        notice_version: "1".to_owned(),
        method: v1::ConsentMethod::Unambiguous.into(),
        evidence: evidence(),
        request_id: Uuid::now_v7().to_string(),
        ..Default::default()
    }
}

/// Code, reason, and the field at fault.
pub(crate) fn fault(status: &Status) -> (Code, String, String) {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    let bad = status.get_details_bad_request();
    let field = bad.and_then(|bad| bad.field_violations.into_iter().next()).map(|first| first.field);
    (status.code(), reason, field.unwrap_or_default())
}
