//! Where a call goes and whether it may be sent twice, from what its method states (`custodia_proto::rpc`).

use custodia_profile::CustomerId;
pub(crate) use custodia_proto::rpc::RetrySafety;
use custodia_proto::rpc::Unary;

/// A call's destination and whether it may be repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoutePolicy {
    /// Whose shard's leader is asked; `None`: any node.
    pub(crate) customer: Option<CustomerId>,
    pub(crate) retry: RetrySafety,
}

impl RoutePolicy {
    /// The policy of a request, which is made repeatable where it can be: a write without a `request_id` gets one.
    ///
    /// A decision without a date is dated before it is first sent: a repetition that arrives after a later withdrawal must not
    /// count as the later decision. Who names the request repeats it whole, so that one stays as it is: a date that differs
    /// would make it another request.
    pub(crate) fn of<R: Unary>(request: &mut R) -> Self {
        if request.request_id().is_empty() {
            if let Some(date @ None) = request.date_mut() {
                *date = Some(now());
            }
            if let Some(request_id) = request.request_id_mut() {
                *request_id = uuid::Uuid::now_v7().to_string();
            }
        }
        Self::about(request.customer().unwrap_or_default(), R::METHOD.retry)
    }

    /// The policy of a call about this customer. An id that does not parse goes to any node, which says what is wrong with it.
    pub(crate) fn about(customer_id: &str, retry: RetrySafety) -> Self {
        Self { customer: customer_id.parse().ok(), retry }
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock of the caller, read in one place")]
fn now() -> custodia_proto::Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    custodia_proto::Timestamp { seconds, nanos: since.subsec_nanos().cast_signed() }
}

#[cfg(test)]
mod tests {
    use custodia_proto::v1;

    use super::*;

    #[test]
    fn a_write_gets_a_request_id_and_keeps_one_that_it_has() {
        let mut request = v1::IngestProfileRequest::default();
        assert_eq!(RoutePolicy::of(&mut request).retry, RetrySafety::ByRequestId);
        assert!(uuid::Uuid::parse_str(&request.request_id).is_ok());
        let first = request.request_id.clone();
        RoutePolicy::of(&mut request);
        assert_eq!(request.request_id, first);
    }

    #[test]
    fn calls_without_a_request_id_are_not_repeated() {
        assert_eq!(RoutePolicy::of(&mut v1::CreatePurposeRequest::default()).retry, RetrySafety::Unsafe);
        assert_eq!(RoutePolicy::of(&mut v1::RotateKeysRequest::default()).retry, RetrySafety::Unsafe);
        assert_eq!(RoutePolicy::of(&mut v1::ListShardsRequest::default()).retry, RetrySafety::Safe);
    }

    #[test]
    fn an_update_goes_to_the_leader_of_the_customer_in_it() {
        let customer_id = CustomerId::from_parts(7, [7; 10], custodia_profile::PoolId::DEFAULT).to_string();
        let preferences = Some(v1::Preferences { customer_id: customer_id.clone(), ..Default::default() });
        let mut update = v1::UpdatePreferencesRequest { preferences, ..Default::default() };
        assert_eq!(RoutePolicy::of(&mut update).customer.map(|id| id.to_string()), Some(customer_id));
        assert!(!update.request_id.is_empty());
        assert!(RoutePolicy::of(&mut v1::UpdateDataSubjectRequest::default()).customer.is_none());
    }

    #[test]
    fn what_is_dated_by_its_sender_keeps_the_date_of_a_named_request() {
        let mut unnamed = v1::RecordContactRequest::default();
        RoutePolicy::of(&mut unnamed);
        assert!(unnamed.contacted_at.is_some());
        let mut named = v1::RecordContactRequest { request_id: "named".into(), ..Default::default() };
        RoutePolicy::of(&mut named);
        assert!(named.contacted_at.is_none());
    }

    #[test]
    fn a_malformed_id_goes_to_any_node() {
        let mut request = v1::GetProfileRequest { customer_id: "cust_?".into(), ..Default::default() };
        assert!(RoutePolicy::of(&mut request).customer.is_none());
    }
}
