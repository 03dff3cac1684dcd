//! What many tests do first: definitions in the catalogue, and a customer who consented.

use custodia_proto::FieldMask;
use custodia_proto::v1::{
    AttributeDefinition, CreateAttributeRequest, CreatePurposeRequest, CreateRecipientRequest, DataSubject,
    GetConsentsRequest, IngestProfileRequest, LawfulBasis, NoticeVersion, Purpose, Recipient,
    UpdateDataSubjectRequest, UpdatePurposeRequest, ValueType,
};
use tonic::Status;

use crate::sample::{attribute, grant, ingest, new_id, observation, purpose, texts};
use crate::sandbox::Sandbox;

/// Creates an attribute through a node.
pub async fn create_attribute(
    sandbox: &Sandbox,
    node: usize,
    attribute: AttributeDefinition,
) -> Result<AttributeDefinition, Status> {
    let request = CreateAttributeRequest { attribute: Some(attribute), validate_only: false };
    Ok(sandbox.catalog(node).await.create_attribute(request).await?.into_inner())
}

/// Creates a purpose.
pub async fn create_purpose(sandbox: &Sandbox, purpose: Purpose) -> Result<Purpose, Status> {
    let request = CreatePurposeRequest { purpose: Some(purpose), validate_only: false };
    Ok(sandbox.catalog(0).await.create_purpose(request).await?.into_inner())
}

/// Registers an application through a node.
pub async fn create_recipient(sandbox: &Sandbox, node: usize, recipient: Recipient) -> Recipient {
    let request = CreateRecipientRequest { recipient: Some(recipient), validate_only: false };
    let answer = sandbox.catalog(node).await.create_recipient(request).await;
    answer.expect("a recipient is created").into_inner()
}

/// Says that a customer lives in Germany, whose law knows every lawful basis; that of an unknown region does not.
pub async fn lives_in_germany(sandbox: &Sandbox, customer_id: &str) {
    let subject = DataSubject {
        customer_id: customer_id.to_owned(),
        regions: vec!["DE".to_owned()],
        ..Default::default()
    };
    let request = UpdateDataSubjectRequest {
        data_subject: Some(subject),
        update_mask: Some(FieldMask { paths: vec!["regions".to_owned()] }),
        request_id: new_id(),
    };
    sandbox.consents(0).await.update_data_subject(request).await.expect("a region is set");
}

/// Creates a purpose like `marketing` for one test alone, with the attribute `PURPOSE_topic`; the purpose and the attribute.
pub async fn create_campaign(sandbox: &Sandbox, purpose_id: &str) -> (Purpose, String) {
    let created = create_purpose(sandbox, purpose(purpose_id, &[LawfulBasis::Consent])).await;
    let topic = format!("{purpose_id}_topic");
    let attribute = attribute(&topic, ValueType::Text, &[purpose_id]);
    create_attribute(sandbox, 0, attribute).await.expect("an attribute is created");
    (created.expect("a purpose is created"), topic)
}

/// Adds to a purpose a notice `v2` under which every customer is asked again.
pub async fn ask_again(sandbox: &Sandbox, mut purpose: Purpose) {
    let notice = NoticeVersion { version: "v2".into(), asks_again: true, ..purpose.notices[0].clone() };
    purpose.notices.push(notice);
    let request = UpdatePurposeRequest { purpose: Some(purpose) };
    sandbox.catalog(0).await.update_purpose(request).await.expect("a purpose is updated");
}

/// The customer's consent revision, which a consent that answers a no must name.
pub async fn consent_revision(sandbox: &Sandbox, customer_id: &str) -> u64 {
    let request =
        GetConsentsRequest { customer_id: customer_id.to_owned(), purpose: "privacy-requests".into() };
    let answer = sandbox.consents(0).await.get_consents(request).await;
    answer.expect("consents are read").into_inner().consent_revision
}

/// A customer with text values that were collected for the purpose `service`, created through node 0.
pub async fn stored_customer(sandbox: &Sandbox, values: &[(&str, &str)]) -> String {
    let request = ingest("", texts(values));
    let answer = sandbox.profiles(0).await.ingest_profile(request).await;
    answer.expect("a customer is created").into_inner().customer_id
}

/// A customer who consented to a purpose, with a value of one of its attributes.
pub async fn consenting_customer(sandbox: &Sandbox, purpose: &str, attribute: &str) -> String {
    let request = IngestProfileRequest {
        purpose: purpose.into(),
        consents: vec![grant(purpose)],
        ..ingest("", vec![observation(attribute, "sailing")])
    };
    let answer = sandbox.client().ingest_profile(request).await.expect("a customer is created");
    assert!(answer.attributes[0].merged, "{answer:?}");
    answer.customer_id
}
