//! A node that has lost its log has forgotten its votes and what it acknowledged: it never votes again under its old
//! replica ids (OP-2, OP-3).
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use custodia_proto::v1::{InitClusterRequest, NodeEndpoint};
use custodia_tests::actions::consenting_customer;
use custodia_tests::sample::{fault, get, ingest, observation, text_of, withdrawal};
use custodia_tests::{Sandbox, Suite, eventually};
use tonic::Code;

fn main() -> ExitCode {
    Suite::default().alone(a_node_that_lost_its_log_never_votes_again).run()
}

const CUSTOMERS: usize = 24;

/// The words of the refusal: what is lost, and what to do.
const REFUSAL: [&str; 3] = ["log generation", "put the log folder back", "leave this node stopped"];

/// What an operator, a script or a failing disk may do to the folder of a node that is down.
type Loss = fn(data: &Path, other: &Path);

const LOSSES: [(&str, Loss); 5] = [
    ("the log and the state are gone", |data, _| {
        fs::remove_dir_all(data.join("log")).unwrap();
        fs::remove_dir_all(data.join("state")).unwrap();
    }),
    ("the log alone is gone", |data, _| fs::remove_dir_all(data.join("log")).unwrap()),
    ("the log is empty", |data, _| {
        fs::remove_dir_all(data.join("log")).unwrap();
        fs::create_dir(data.join("log")).unwrap();
    }),
    ("the log is that of another node", |data, other| {
        fs::remove_dir_all(data.join("log")).unwrap();
        copy(&other.join("log"), &data.join("log"));
    }),
    ("the log is gone and the engine is damaged", |data, _| {
        fs::remove_dir_all(data.join("log")).unwrap();
        for partition in fs::read_dir(data.join("state")).unwrap() {
            for entry in fs::read_dir(partition.unwrap().path()).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    fs::write(path, b"damaged").unwrap();
                }
            }
        }
    }),
];

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Acknowledged by nodes 1 and 2 while 3 was down. Without this rule, 3 and an emptied 2 would form a quorum that knows
/// nothing of it: the customers would be gone, and withdrawn data would be served again.
async fn a_node_that_lost_its_log_never_votes_again() {
    let mut sandbox = Sandbox::start().await;
    let withdrawn = consenting_customer(&sandbox, "marketing", "interest").await;
    sandbox.nodes[2].kill();
    let client = sandbox.client();
    let mut customers = Vec::new();
    for number in 0..CUSTOMERS {
        let request = ingest("", vec![observation("given_name", &format!("name {number}"))]);
        customers.push(client.ingest_profile(request).await.unwrap().customer_id);
    }
    client.withdraw_consent(withdrawal(&withdrawn, "marketing")).await.unwrap();
    sandbox.nodes[0].kill();
    sandbox.nodes[1].kill();
    let data = sandbox.nodes[1].data_path();
    let kept: PathBuf = sandbox.path().join("kept");
    copy(&data, &kept);
    let other = sandbox.nodes[0].data_path();

    sandbox.nodes[2].start();
    for (loss, lose) in LOSSES {
        lose(&data, &other);
        sandbox.refuses_to_start(1, &REFUSAL);
        // and again: what the first attempt left does not help the second
        sandbox.refuses_to_start(1, &REFUSAL);
        let aside = data.join("state").join("directory.aside-1");
        assert!(!aside.exists(), "{loss}: a refused start changes nothing");
        fs::remove_dir_all(&data).unwrap();
        copy(&kept, &data);
    }
    // with the whole folder gone it is a new node, which belongs to no cluster
    fs::remove_dir_all(&data).unwrap();
    sandbox.nodes[1].start();
    for customer in customers.iter().chain([&withdrawn]) {
        let status = sandbox.profiles(2).await.get_profile(get(customer, "service")).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    }
    // and a node that has lost its state does not make a cluster with it: the emptied node would vote again
    sandbox.nodes[2].kill();
    fs::remove_dir_all(sandbox.nodes[2].data_path().join("state")).unwrap();
    sandbox.nodes[2].start();
    let two = sandbox.nodes[1..].iter();
    let two = two.map(|node| NodeEndpoint { node_id: node.id, address: node.address.clone() }).collect();
    let request = InitClusterRequest { nodes: two, shards: 4, replicas: 1 };
    let refused = sandbox.cluster(2).await.init_cluster(request).await.unwrap_err();
    assert_eq!(fault(&refused).1, "ALREADY_INITIALISED", "{refused:?}");
    sandbox.nodes[1].kill();

    // with its log the node is a voter again, and its lost state is fetched
    fs::remove_dir_all(&data).unwrap();
    copy(&kept, &data);
    fs::remove_dir_all(data.join("state")).unwrap();
    sandbox.nodes[0].start();
    sandbox.nodes[1].start();
    sandbox.wait_until_healthy().await;
    sandbox.nodes[0].kill();
    for (number, customer) in customers.iter().enumerate() {
        let mut name = None;
        eventually("the others answer without node 1", async || {
            let answer = sandbox.profiles(2).await.get_profile(get(customer, "service")).await;
            let unavailable = answer.as_ref().is_err_and(|status| status.code() == Code::Unavailable);
            name = Some(answer);
            !unavailable
        })
        .await;
        let profile = name.unwrap().unwrap().into_inner();
        assert_eq!(text_of(&profile, "given_name"), Some(format!("name {number}")));
    }
    let profile = client.get_profile(get(&withdrawn, "marketing")).await.unwrap();
    assert_eq!(text_of(&profile, "interest"), None, "the withdrawal stands");
}
