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
#[expect(clippy::disallowed_methods, reason = "the clock of the caller, read in one place")]
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

macro_rules! dated_customer_writes {
    ($($Request:ident by $time:ident;)*) => { $( impl Planned for v1::$Request {
        fn plan(&mut self) -> Plan {
            // who names the request repeats it whole; a date that differs would make it another request
            if self.request_id.is_empty() {
                date(&mut self.$time);
            }
            identify(&mut self.request_id);
            Plan::customer(&self.customer_id)
        }
    } )* };
}

customer_reads!(GetProfileRequest ListEventsRequest GetConsentsRequest ListConsentHistoryRequest
    GetConsentsAsOfRequest ExplainDecisionRequest GetDataSubjectRequest GetTcStringRequest GetConsentModeRequest
    ExportConsentRequest GetPreferencesRequest CheckContactRequest);
customer_writes!(IngestProfileRequest AppendEventsRequest WithdrawConsentRequest RecordPrivacySignalRequest
    RecordTcStringRequest);
dated_customer_writes!(RecordConsentRequest by decided_at; RecordContactRequest by contacted_at;);
to_any_node!(Safe: GetPurposeRequest ListPurposesRequest GetAttributeRequest ListAttributesRequest
    ListUnusedAttributesRequest GetJurisdictionRequest ListJurisdictionsRequest GetRecipientRequest
    ListRecipientsRequest ListCatalogChangesRequest GetClusterStatusRequest ListShardsRequest ListNodesRequest);
to_any_node!(Unsafe: CreatePurposeRequest UpdatePurposeRequest CreateAttributeRequest UpdateAttributeRequest
    CreateJurisdictionRequest UpdateJurisdictionRequest CreateRecipientRequest UpdateRecipientRequest
    InitClusterRequest RotateKeysRequest);

/// The customer of the message that an update replaces.
fn customer_of<Message>(message: Option<&Message>, customer_id: impl Fn(&Message) -> &str) -> Plan {
    Plan::customer(message.map(customer_id).unwrap_or_default())
}

impl Planned for v1::UpdateDataSubjectRequest {
    fn plan(&mut self) -> Plan {
        identify(&mut self.request_id);
        customer_of(self.data_subject.as_ref(), |subject| &subject.customer_id)
    }
}

impl Planned for v1::UpdatePreferencesRequest {
    fn plan(&mut self) -> Plan {
        identify(&mut self.request_id);
        customer_of(self.preferences.as_ref(), |preferences| &preferences.customer_id)
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
        assert_eq!(v1::RotateKeysRequest::default().plan().repetition, Repetition::Unsafe);
        assert_eq!(v1::ListShardsRequest::default().plan().repetition, Repetition::Safe);
    }

    #[test]
    fn an_update_goes_to_the_leader_of_the_customer_in_it() {
        let customer_id = CustomerId::from_parts(7, [7; 10], custodia_profile::PoolId::DEFAULT).to_string();
        let preferences = Some(v1::Preferences { customer_id: customer_id.clone(), ..Default::default() });
        let mut update = v1::UpdatePreferencesRequest { preferences, ..Default::default() };
        assert_eq!(update.plan().customer.map(|id| id.to_string()), Some(customer_id));
        assert!(!update.request_id.is_empty());
        assert!(v1::UpdateDataSubjectRequest::default().plan().customer.is_none());
    }

    #[test]
    fn what_is_dated_by_its_sender_keeps_the_date_of_a_named_request() {
        let mut unnamed = v1::RecordContactRequest::default();
        unnamed.plan();
        assert!(unnamed.contacted_at.is_some());
        let mut named = v1::RecordContactRequest { request_id: "named".into(), ..Default::default() };
        named.plan();
        assert!(named.contacted_at.is_none());
    }

    #[test]
    fn a_malformed_id_goes_to_any_node() {
        let mut request = v1::GetProfileRequest { customer_id: "cust_?".into(), ..Default::default() };
        assert!(request.plan().customer.is_none());
    }
}
