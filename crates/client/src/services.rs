//! A method for every call of the public interface.

use std::collections::BTreeMap;

use custodia_proto::v1;

use crate::client::Client;
use crate::error::ClientError;
use crate::stubs::{catalog_of, cluster_of, consents_of, preferences_of, profiles_of};

/// Writes the methods; what each call does is documented in `proto/custodia/v1`.
macro_rules! calls {
    ($( $(#[$doc:meta])* $name:ident($Request:ident) -> $Answer:ident by $service:ident; )*) => {
        impl Client {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// What the cluster answered, or why no answer came within the deadline.
                pub async fn $name(&self, request: v1::$Request) -> Result<v1::$Answer, ClientError> {
                    self.call(request, |channel, request| async move { $service(channel).$name(request).await }).await
                }
            )*
        }
    };
}

calls! {
    /// Merges observations into one customer's profile; creates the customer if it is new.
    ingest_profile(IngestProfileRequest) -> IngestProfileResponse by profiles_of;
    /// One profile as it may be seen for the purpose.
    get_profile(GetProfileRequest) -> Profile by profiles_of;
    /// Appends interactions to a customer.
    append_events(AppendEventsRequest) -> AppendEventsResponse by profiles_of;
    /// A page of a customer's events, newest first.
    list_events(ListEventsRequest) -> ListEventsResponse by profiles_of;
    /// Records a consent, a refusal, or another ground for one purpose.
    record_consent(RecordConsentRequest) -> ConsentState by consents_of;
    /// Withdraws a ground.
    withdraw_consent(WithdrawConsentRequest) -> ConsentState by consents_of;
    /// The state of every purpose on which something is recorded.
    get_consents(GetConsentsRequest) -> GetConsentsResponse by consents_of;
    /// A page of a customer's ledger: every decision in the order in which it was recorded.
    list_consent_history(ListConsentHistoryRequest) -> ListConsentHistoryResponse by consents_of;
    /// The states as they were recorded at a past moment.
    get_consents_as_of(GetConsentsAsOfRequest) -> GetConsentsResponse by consents_of;
    /// Replays the law for one purpose, with record and catalogue as they were at a moment.
    explain_decision(ExplainDecisionRequest) -> DecisionExplanation by consents_of;
    /// What else the law needs to know about a data subject.
    get_data_subject(GetDataSubjectRequest) -> DataSubject by consents_of;
    /// Changes what the law needs to know about a data subject.
    update_data_subject(UpdateDataSubjectRequest) -> DataSubject by consents_of;
    /// Honours a signal of the data subject's browser.
    record_privacy_signal(RecordPrivacySignalRequest) -> RecordPrivacySignalResponse by consents_of;
    /// Stores an IAB TCF consent string.
    record_tc_string(RecordTcStringRequest) -> TcString by consents_of;
    /// The stored IAB TCF consent string.
    get_tc_string(GetTcStringRequest) -> TcString by consents_of;
    /// Google's consent mode signals.
    get_consent_mode(GetConsentModeRequest) -> ConsentMode by consents_of;
    /// One consent record for other systems, or a receipt for the customer.
    export_consent(ExportConsentRequest) -> ExportConsentResponse by consents_of;
    /// How, when and about what a customer wants to be contacted.
    get_preferences(GetPreferencesRequest) -> Preferences by preferences_of;
    /// Replaces the preferences as a whole.
    update_preferences(UpdatePreferencesRequest) -> Preferences by preferences_of;
    /// Whether a contact is allowed, and if not yet, from when on.
    check_contact(CheckContactRequest) -> CheckContactResponse by preferences_of;
    /// Records a contact that was made.
    record_contact(RecordContactRequest) -> RecordContactResponse by preferences_of;
    /// Creates a purpose.
    create_purpose(CreatePurposeRequest) -> Purpose by catalog_of;
    /// Replaces a purpose.
    update_purpose(UpdatePurposeRequest) -> Purpose by catalog_of;
    /// One purpose.
    get_purpose(GetPurposeRequest) -> Purpose by catalog_of;
    /// A page of the purposes.
    list_purposes(ListPurposesRequest) -> ListPurposesResponse by catalog_of;
    /// Creates an attribute definition.
    create_attribute(CreateAttributeRequest) -> AttributeDefinition by catalog_of;
    /// Replaces an attribute definition.
    update_attribute(UpdateAttributeRequest) -> AttributeDefinition by catalog_of;
    /// One attribute definition.
    get_attribute(GetAttributeRequest) -> AttributeDefinition by catalog_of;
    /// A page of the attribute definitions.
    list_attributes(ListAttributesRequest) -> ListAttributesResponse by catalog_of;
    /// Attributes that nobody has read for a number of days.
    list_unused_attributes(ListUnusedAttributesRequest) -> ListUnusedAttributesResponse by catalog_of;
    /// Creates a jurisdiction.
    create_jurisdiction(CreateJurisdictionRequest) -> Jurisdiction by catalog_of;
    /// Replaces a jurisdiction.
    update_jurisdiction(UpdateJurisdictionRequest) -> Jurisdiction by catalog_of;
    /// One jurisdiction.
    get_jurisdiction(GetJurisdictionRequest) -> Jurisdiction by catalog_of;
    /// A page of the jurisdictions.
    list_jurisdictions(ListJurisdictionsRequest) -> ListJurisdictionsResponse by catalog_of;
    /// Registers an application as a recipient of data.
    create_recipient(CreateRecipientRequest) -> Recipient by catalog_of;
    /// Replaces a recipient.
    update_recipient(UpdateRecipientRequest) -> Recipient by catalog_of;
    /// One recipient.
    get_recipient(GetRecipientRequest) -> Recipient by catalog_of;
    /// A page of the recipients.
    list_recipients(ListRecipientsRequest) -> ListRecipientsResponse by catalog_of;
    /// A page of the catalogue's changes, in order.
    list_catalog_changes(ListCatalogChangesRequest) -> ListCatalogChangesResponse by catalog_of;
    /// Makes a cluster of empty nodes.
    init_cluster(InitClusterRequest) -> ClusterStatus by cluster_of;
    /// Nodes, shards and health as the asked node sees them.
    get_cluster_status(GetClusterStatusRequest) -> ClusterStatus by cluster_of;
    /// A page of the shards.
    list_shards(ListShardsRequest) -> ListShardsResponse by cluster_of;
    /// The nodes.
    list_nodes(ListNodesRequest) -> ListNodesResponse by cluster_of;
    /// Rotates keys while the cluster serves.
    rotate_keys(RotateKeysRequest) -> RotateKeysResponse by cluster_of;
}

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

    async fn batch_part(
        &self,
        part: v1::BatchGetProfilesRequest,
    ) -> Result<v1::BatchGetProfilesResponse, ClientError> {
        self.call(part, |channel, part| async move { profiles_of(channel).batch_get_profiles(part).await })
            .await
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
