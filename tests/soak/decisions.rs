//! Decisions: what was withdrawn or suspended, and acknowledged, binds every node from then on.
//!
//! ```text
//! epoch   even ── withdraw sent ── acknowledged: odd ── consent sent: even ── acknowledged ── …
//! ```
//! A call that began and ended within one odd epoch must see nothing and merge nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use custodia_proto::v1::catalog_service_client::CatalogServiceClient;
use custodia_proto::v1::consent_service_client::ConsentServiceClient;
use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{
    IngestProfileRequest, ListRecipientsRequest, Recipient, RecordConsentRequest, UpdateRecipientRequest,
};
use custodia_tests::Sandbox;
use custodia_tests::actions::consenting_customer;
use custodia_tests::sample::{consent, fault, ingest, observation, text_of, withdrawal};

use crate::load::{Load, is_for_now};

/// The application that is suspended in turn.
pub(crate) const DESK: &str = "desk";

/// A customer who consents and withdraws in turn.
#[derive(Debug)]
pub(crate) struct Consented {
    customer: String,
    /// Odd while an acknowledged withdrawal stands.
    pub(crate) epoch: AtomicU64,
}

impl Consented {
    pub(crate) async fn create(sandbox: &Sandbox) -> Self {
        let customer = consenting_customer(sandbox, "marketing", "interest").await;
        Self { customer, epoch: AtomicU64::new(0) }
    }
}

/// Odd while an acknowledged suspension of the application stands.
#[derive(Debug, Default)]
pub(crate) struct Suspension {
    epoch: AtomicU64,
}

/// Whether a call that began in one epoch and ended in another lay wholly behind an acknowledged no.
const fn is_behind(began: u64, ended: u64) -> bool {
    began == ended && began % 2 == 1
}

/// Lets a decision stand for a while.
async fn linger(longest_ms: u64) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(..longest_ms))).await;
}

/// Withdraws and consents in turn.
pub(crate) async fn decide(load: Arc<Load>, at: usize) {
    let consented = &load.consented[at];
    while load.goes_on().await {
        let request = withdrawal(&consented.customer, "marketing");
        let withdraw = |channel, request| async move {
            ConsentServiceClient::new(channel).withdraw_consent(request).await
        };
        let Some(withdrawn) = load.insist(&request, withdraw).await else { return };
        consented.epoch.fetch_add(1, Ordering::SeqCst);
        load.count("withdrawals acknowledged");
        linger(150).await;
        consented.epoch.fetch_add(1, Ordering::SeqCst);
        let request = RecordConsentRequest {
            consent_revision: withdrawn.consent_revision,
            ..consent(&consented.customer, "marketing")
        };
        let record = |channel, request| async move {
            ConsentServiceClient::new(channel).record_consent(request).await
        };
        loop {
            match load.persist(&request, record).await {
                Ok(_given) => break,
                // A repetition of the withdrawal that was long on its way is a no of its own, which this consent has not seen.
                Err(status) if fault(&status).1 == "CONSENT_REVISION_STALE" => break,
                Err(status) if !is_for_now(&status) => {
                    return load.is_wrong(format!("refused: {status:?}"));
                }
                Err(_) if load.goes_on().await => {}
                Err(_) => return,
            }
        }
        linger(50).await;
    }
}

/// Ingests what a withdrawal forbids.
pub(crate) async fn ingest_behind_a_withdrawal(load: Arc<Load>, at: usize) {
    let consented = &load.consented[at];
    while load.goes_on().await {
        linger(100).await;
        let request = IngestProfileRequest {
            purpose: "marketing".into(),
            consents: Vec::new(),
            ..ingest(&consented.customer, vec![observation("interest", "sailing")])
        };
        let began = consented.epoch.load(Ordering::SeqCst);
        let call = |channel, request| async move {
            ProfileServiceClient::new(channel).ingest_profile(request).await
        };
        let answer = load.persist(&request, call).await;
        let ended = consented.epoch.load(Ordering::SeqCst);
        let Ok(answer) = answer else { continue };
        match (answer.attributes[0].merged, is_behind(began, ended)) {
            (true, true) => load.is_wrong(format!("{} merged behind a withdrawal", consented.customer)),
            (false, true) => load.count("ingests refused behind a withdrawal"),
            (true, false) => load.count("ingests under a consent"),
            (false, false) => {}
        }
    }
}

/// Reads through one node what a withdrawal forbids.
pub(crate) async fn read(load: Arc<Load>, node: usize) {
    while load.goes_on().await {
        let consented = &load.consented[fastrand::usize(..load.consented.len())];
        let began = consented.epoch.load(Ordering::SeqCst);
        let answer = load.get(&load.channels[node], &consented.customer, "marketing").await;
        let ended = consented.epoch.load(Ordering::SeqCst);
        let Ok(profile) = answer else { continue };
        match (text_of(&profile, "interest").is_some(), is_behind(began, ended)) {
            (true, true) => {
                load.is_wrong(format!("node {} serves {} behind a withdrawal", node + 1, consented.customer));
            }
            (false, true) => load.count("reads refused behind a withdrawal"),
            (true, false) => load.count("reads under a consent"),
            (false, false) => {}
        }
    }
}

/// Suspends the application and lets it back in, in turn.
pub(crate) async fn suspend_in_turn(load: Arc<Load>) {
    let epoch = &load.suspension.epoch;
    while load.goes_on().await {
        if !set_suspended(&load, true).await {
            return;
        }
        epoch.fetch_add(1, Ordering::SeqCst);
        load.count("suspensions acknowledged");
        linger(1_000).await;
        epoch.fetch_add(1, Ordering::SeqCst);
        if !set_suspended(&load, false).await {
            return;
        }
        linger(500).await;
    }
}

/// Whether it was acknowledged before the soak ended.
async fn set_suspended(load: &Load, suspended: bool) -> bool {
    while load.goes_on().await {
        let list = |channel, request| async move {
            CatalogServiceClient::new(channel).list_recipients(request).await
        };
        let Ok(listed) = load.persist(&ListRecipientsRequest::default(), list).await else { continue };
        let Some(desk) = listed.recipients.into_iter().find(|recipient| recipient.id == DESK) else {
            load.is_wrong("the application is not registered any more".to_owned());
            return false;
        };
        let request = UpdateRecipientRequest { recipient: Some(Recipient { suspended, ..desk }) };
        // sent once: a second try would name an etag that the first may have replaced
        let update = |channel, request| async move {
            CatalogServiceClient::new(channel).update_recipient(request).await
        };
        if load.call(load.any_node(), request, update).await.is_ok() {
            return true;
        }
    }
    false
}

/// Reads through one node as the application that is suspended in turn.
pub(crate) async fn read_as_the_desk(load: Arc<Load>, node: usize) {
    let epoch = &load.suspension.epoch;
    while load.goes_on().await {
        let register = &load.registers[fastrand::usize(..load.registers.len())];
        let began = epoch.load(Ordering::SeqCst);
        let answer = load.get(&load.desk[node], &register.customer, "service").await;
        let ended = epoch.load(Ordering::SeqCst);
        match (answer.is_ok(), is_behind(began, ended)) {
            (true, true) => load.is_wrong(format!("node {} serves a suspended application", node + 1)),
            (false, true) => load.count("reads refused behind a suspension"),
            (true, false) => load.count("reads of a registered application"),
            (false, false) => {}
        }
    }
}
