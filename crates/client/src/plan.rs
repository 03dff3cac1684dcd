//! Where each kind of request goes and whether it may be sent twice: the one table.

use custodia_profile::CustomerId;
use custodia_proto::v1;

/// Whether sending a call twice can do a second thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repetition {
    /// A read, or a write that carries a `request_id`.
    Safe,
    /// Only an attempt that certainly had no effect is followed by another.
    Unsafe,
}

/// A call's destination and whether it may be repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Whose shard's leader is asked; `None`: any node.
    pub(crate) customer: Option<CustomerId>,
    pub(crate) repetition: Repetition,
}

impl Plan {
    /// An id that does not parse goes to any node, which says what is wrong with it.
    fn customer(customer_id: &str) -> Self {
        Self { customer: customer_id.parse().ok(), repetition: Repetition::Safe }
    }

    fn any(repetition: Repetition) -> Self {
        Self { customer: None, repetition }
    }
}

/// A request that knows its plan, and makes itself repeatable where it can.
pub(crate) trait Planned: Clone {
    fn plan(&mut self) -> Plan;
}

/// A write without a `request_id` gets one, so that it may be repeated.
fn identify(request_id: &mut String) {
    if request_id.is_empty() {
        *request_id = uuid::Uuid::now_v7().to_string();
    }
}

/// A decision without a date is dated before it is first sent: a repetition that arrives after a later withdrawal must
/// not count as the later decision.
fn date(time: &mut Option<custodia_proto::Timestamp>) {
    if time.is_none() {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        *time = Some(custodia_proto::Timestamp { seconds, nanos: since.subsec_nanos().cast_signed() });
    }
}

macro_rules! customer_reads {
    ($($Request:ident)*) => { $( impl Planned for v1::$Request {
        fn plan(&mut self) -> Plan { Plan::customer(&self.customer_id) }
    } )* };
}

macro_rules! customer_writes {
    ($($Request:ident)*) => { $( impl Planned for v1::$Request {
        fn plan(&mut self) -> Plan {
            identify(&mut self.request_id);
            Plan::customer(&self.customer_id)
        }
    } )* };
}

macro_rules! to_any_node {
    ($repetition:ident: $($Request:ident)*) => { $( impl Planned for v1::$Request {
        fn plan(&mut self) -> Plan { Plan::any(Repetition::$repetition) }
    } )* };
}

customer_reads!(GetProfileRequest ListEventsRequest GetConsentsRequest);
customer_writes!(IngestProfileRequest AppendEventsRequest WithdrawConsentRequest);
to_any_node!(Safe: GetPurposeRequest ListPurposesRequest GetAttributeRequest ListAttributesRequest
    GetClusterStatusRequest ListShardsRequest ListNodesRequest);
to_any_node!(Unsafe: CreatePurposeRequest UpdatePurposeRequest CreateAttributeRequest UpdateAttributeRequest
    InitClusterRequest TurnKeysRequest);

impl Planned for v1::RecordConsentRequest {
    fn plan(&mut self) -> Plan {
        // who names the request repeats it whole; a date that differs would make it another request
        if self.request_id.is_empty() {
            date(&mut self.decided_at);
        }
        identify(&mut self.request_id);
        Plan::customer(&self.customer_id)
    }
}

impl Planned for v1::BatchGetProfilesRequest {
    /// To the leader of the first customer; the client has grouped the ids by leader before.
    fn plan(&mut self) -> Plan {
        self.customer_ids.first().map_or(Plan::any(Repetition::Safe), |first| Plan::customer(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_gets_a_request_id_and_keeps_one_that_it_has() {
        let mut request = v1::IngestProfileRequest::default();
        assert_eq!(request.plan().repetition, Repetition::Safe);
        assert!(uuid::Uuid::parse_str(&request.request_id).is_ok());
        let first = request.request_id.clone();
        request.plan();
        assert_eq!(request.request_id, first);
    }

    #[test]
    fn calls_without_a_request_id_are_not_repeated() {
        assert_eq!(v1::CreatePurposeRequest::default().plan().repetition, Repetition::Unsafe);
        assert_eq!(v1::TurnKeysRequest::default().plan().repetition, Repetition::Unsafe);
        assert_eq!(v1::ListShardsRequest::default().plan().repetition, Repetition::Safe);
    }

    #[test]
    fn a_malformed_id_goes_to_any_node() {
        let mut request = v1::GetProfileRequest { customer_id: "cust_?".into(), ..Default::default() };
        assert!(request.plan().customer.is_none());
    }
}
