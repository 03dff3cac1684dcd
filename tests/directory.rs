//! The catalogue on a node that is cut off from the others: what was restricted there binds here too (CO-3, CO-5, GO-4).
#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use custodia_proto::v1::catalog_service_client::CatalogServiceClient;
use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{ListRecipientsRequest, Recipient, UpdateRecipientRequest};
use custodia_tests::actions::{create_recipient, stored_customer};
use custodia_tests::sample::get;
use custodia_tests::{Options, Sandbox, Suite, eventually};
use tokio::task::JoinSet;
use tonic::Code;

fn main() -> ExitCode {
    Suite::default()
        .alone(a_suspension_binds_a_leader_that_is_cut_off_from_the_directory)
        .alone(a_node_that_lost_its_state_lists_no_older_catalogue)
        .run()
}

/// What a caller gets who reads all customers at once through a node.
async fn reads_as(
    sandbox: &Sandbox,
    node: usize,
    caller: &str,
    customers: &[String],
) -> Vec<Result<(), Code>> {
    let profiles = ProfileServiceClient::new(sandbox.channel_as(node, "agent", caller).await);
    let mut reads = JoinSet::new();
    for customer in customers {
        let (mut profiles, mut request) = (profiles.clone(), tonic::Request::new(get(customer, "service")));
        request.set_timeout(Duration::from_secs(2));
        reads.spawn(async move { profiles.get_profile(request).await });
    }
    let outcomes = reads.join_all().await;
    outcomes.into_iter().map(|answer| answer.map(drop).map_err(|status| status.code())).collect()
}

/// Whichever node leads the directory: each link is cut once. The third node still reaches both, so nobody loses a leadership.
async fn a_suspension_binds_a_leader_that_is_cut_off_from_the_directory() {
    let mut sandbox = Sandbox::prepare(Options { shards: 8, ..Options::default() });
    let links = sandbox.link().await;
    sandbox.spawn_and_init().await;
    sandbox.define_catalogue().await;
    let mut customers = Vec::new();
    for _ in 0..24 {
        customers.push(stored_customer(&sandbox, &[("given_name", "Ada")]).await);
    }
    for (round, (one, other, third)) in [(0, 1, 2), (0, 2, 1), (1, 2, 0)].into_iter().enumerate() {
        let caller = format!("desk-{round}");
        let recipient =
            Recipient { id: caller.clone(), purposes: vec!["service".into()], ..Default::default() };
        let recipient = create_recipient(&sandbox, third, recipient).await;
        for node in 0..3 {
            assert!(reads_as(&sandbox, node, &caller, &customers).await.iter().all(Result::is_ok));
        }
        links.cut(sandbox.nodes[one].id, sandbox.nodes[other].id);
        let request = UpdateRecipientRequest { recipient: Some(Recipient { suspended: true, ..recipient }) };
        eventually("the suspension is acknowledged", async || {
            let mut request = tonic::Request::new(request.clone());
            request.set_timeout(Duration::from_secs(20));
            match sandbox.catalog(third).await.update_recipient(request).await {
                Ok(_) => true,
                // a first try that was not answered in time may have been the one
                Err(status) => status.code() == Code::Aborted,
            }
        })
        .await;
        for node in 0..3 {
            for outcome in reads_as(&sandbox, node, &caller, &customers).await {
                assert!(outcome.is_err(), "round {round}: node {} gives data", node + 1);
            }
        }
        links.mend(sandbox.nodes[one].id, sandbox.nodes[other].id);
        for node in 0..3 {
            eventually("the node refuses for the law alone", async || {
                let outcomes = reads_as(&sandbox, node, &caller, &customers).await;
                outcomes.iter().all(|outcome| *outcome == Err(Code::PermissionDenied))
            })
            .await;
        }
        sandbox.wait_until_healthy().await;
    }
}

/// While it fetches its state back the node has an empty catalogue. A caller who takes that for the catalogue in force would
/// define everything anew.
async fn a_node_that_lost_its_state_lists_no_older_catalogue() {
    let mut sandbox = Sandbox::start().await;
    let recipient = Recipient { id: "desk".into(), purposes: vec!["service".into()], ..Default::default() };
    create_recipient(&sandbox, 0, recipient).await;
    for _ in 0..3 {
        sandbox.nodes[1].kill();
        fs::remove_dir_all(sandbox.nodes[1].data_path().join("state")).expect("a state folder");
        sandbox.nodes[1].spawn();
        let mut answers = 0;
        eventually("the node lists the catalogue", async || {
            let Ok(channel) = sandbox.channel(1, &sandbox.admin).await else { return false };
            let mut catalog = CatalogServiceClient::new(channel);
            for _ in 0..50 {
                if let Ok(listed) = catalog.list_recipients(ListRecipientsRequest::default()).await {
                    assert_eq!(listed.into_inner().recipients.len(), 1, "an older catalogue");
                    answers += 1;
                }
            }
            answers > 0
        })
        .await;
    }
}
