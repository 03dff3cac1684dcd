//! A node that cannot start well does not start, and says why in words that help.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, ExitCode};

use custodia_proto::v1::{InitClusterRequest, NodeEndpoint};
use custodia_tests::actions::stored_customer;
use custodia_tests::sample::{get, ingest, observation};
use custodia_tests::{Authority, Options, Oracle, Sandbox, Suite, Validity, binary, custodia, eventually};
use rcgen::ExtendedKeyUsagePurpose as Usage;

fn main() -> ExitCode {
    Suite::default()
        .alone(a_wrong_configuration_names_the_key)
        .alone(a_cluster_is_ready_when_its_creation_has_returned)
        .alone(a_root_key_that_others_may_read_is_refused)
        .alone(a_node_with_another_root_key_refuses_to_start)
        .alone(a_data_folder_knows_its_node_its_engine_and_its_cluster)
        .alone(two_processes_share_neither_a_port_nor_a_data_folder)
        .alone(a_node_whose_own_certificate_is_bad_says_so)
        .alone(a_certificate_that_others_would_refuse_is_refused_at_the_start)
        .alone(an_address_that_nobody_can_use_is_explained)
        .alone(limits_of_the_system_are_said_before_the_node_serves)
        .alone(a_node_whose_disk_is_full_says_so_and_ends_and_the_others_go_on_without_it)
        .run()
}

fn single() -> Options {
    Options { nodes: 1, ..Options::default() }
}

async fn a_wrong_configuration_names_the_key() {
    let mut sandbox = Sandbox::prepare(single());
    for (lines, word) in [("colour = \"red\"", "colour"), ("[limits]\nno_such_limit = 1", "no_such_limit")] {
        sandbox.write_config(&sandbox.nodes[0], lines);
        sandbox.refuses_to_start(0, &[word]);
    }
    sandbox.write_config(&sandbox.nodes[0], "metrics_listen = \"no address\"");
    sandbox.refuses_to_start(0, &["metrics_listen"]);
}

/// For a plain stub and for the command. With four nodes, none of them has a replica of every shard.
async fn a_cluster_is_ready_when_its_creation_has_returned() {
    let mut sandbox = Sandbox::prepare(Options { nodes: 4, ..Options::default() });
    for node in &mut sandbox.nodes {
        node.start();
    }
    let mut arguments = vec!["--client".to_owned(), sandbox.client_file(), "cluster".into(), "init".into()];
    arguments.extend(["--shards".to_owned(), "64".to_owned()]);
    for node in &sandbox.nodes {
        arguments.extend(["--node".to_owned(), format!("{}={}", node.id, node.address)]);
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (code, output, errors) = custodia(&arguments);
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.contains("64 shards: 64 with a leader, 64 with all replicas"), "{output}");
    let nodes = sandbox.nodes.iter();
    let nodes = nodes.map(|node| NodeEndpoint { node_id: node.id, address: node.address.clone() }).collect();
    let request = InitClusterRequest { nodes, shards: 64, replicas: 3 };
    let status = sandbox.cluster(1).await.init_cluster(request).await.unwrap().into_inner();
    assert_eq!((status.shards_with_leader, status.shards_with_full_replicas), (64, 64), "asked again");
}

async fn a_root_key_that_others_may_read_is_refused() {
    let mut sandbox = Sandbox::prepare(single());
    fs::set_permissions(sandbox.root_key_path(), fs::Permissions::from_mode(0o644)).unwrap();
    sandbox.refuses_to_start(0, &["root", "644"]);
    fs::set_permissions(sandbox.root_key_path(), fs::Permissions::from_mode(0o600)).unwrap();
    sandbox.nodes[0].start();
}

async fn a_node_with_another_root_key_refuses_to_start() {
    let mut sandbox = Sandbox::start_with(single()).await;
    let customer = stored_customer(&sandbox, &[("given_name", "Ada")]).await;
    sandbox.nodes[0].kill();
    let right = sandbox.path().join("right.key");
    fs::rename(sandbox.root_key_path(), &right).unwrap();
    let (code, _, errors) =
        custodia(&["keys", "generate", "--file", &sandbox.root_key_path().display().to_string()]);
    assert_eq!(code, Some(0), "{errors}");
    sandbox.refuses_to_start(0, &["root key"]);
    fs::rename(&right, sandbox.root_key_path()).unwrap();
    sandbox.nodes[0].start();
    sandbox.wait_until_healthy().await;
    sandbox.profiles(0).await.get_profile(get(&customer, "service")).await.unwrap();
}

async fn a_data_folder_knows_its_node_its_engine_and_its_cluster() {
    let mut sandbox = Sandbox::start().await;
    for node in &mut sandbox.nodes {
        node.kill();
    }
    // the folder of node 2 under node 1
    let (own, other) = (sandbox.nodes[0].data_path(), sandbox.nodes[1].data_path());
    let kept = sandbox.path().join("kept");
    fs::rename(&own, &kept).unwrap();
    fs::rename(&other, &own).unwrap();
    sandbox.refuses_to_start(0, &["node"]);
    fs::rename(&own, &other).unwrap();
    fs::rename(&kept, &own).unwrap();
    // another engine
    let config = fs::read_to_string(sandbox.nodes[0].config_path()).unwrap();
    fs::write(sandbox.nodes[0].config_path(), config.replace("\"fjall\"", "\"sled\"")).unwrap();
    sandbox.refuses_to_start(0, &["fjall", "sled"]);
    fs::write(sandbox.nodes[0].config_path(), config).unwrap();
    // nodes of another cluster do not take it in
    let stranger = Sandbox::start_with(single()).await;
    assert_ne!(stranger.status(0).await.unwrap().cluster_id, "");
    let refused = stranger
        .cluster(0)
        .await
        .init_cluster(InitClusterRequest {
            nodes: vec![NodeEndpoint { node_id: 1, address: stranger.nodes[0].address.clone() }],
            shards: 8,
            replicas: 1,
        })
        .await
        .unwrap_err();
    assert!(
        matches!(refused.code(), tonic::Code::AlreadyExists | tonic::Code::FailedPrecondition),
        "a cluster is made once: {refused:?}"
    );
    for node in &mut sandbox.nodes {
        node.start();
    }
    sandbox.wait_until_healthy().await;
}

async fn two_processes_share_neither_a_port_nor_a_data_folder() {
    let mut sandbox = Sandbox::prepare(Options { nodes: 2, ..Options::default() });
    sandbox.nodes[0].start();
    let config = fs::read_to_string(sandbox.nodes[1].config_path()).unwrap();
    let taken = config.replace(&sandbox.nodes[1].address, &sandbox.nodes[0].address);
    fs::write(sandbox.nodes[1].config_path(), &taken).unwrap();
    let port = sandbox.nodes[0].address.rsplit_once(':').unwrap().1.to_owned();
    sandbox.refuses_to_start(1, &["in use", &port]);
    // node 1 once more, on another port
    let own = fs::read_to_string(sandbox.nodes[0].config_path()).unwrap();
    let shared = own.replace(&sandbox.nodes[0].address, &sandbox.nodes[1].address);
    fs::write(sandbox.nodes[1].config_path(), shared).unwrap();
    sandbox.refuses_to_start(1, &["data", "another process"]);
}

async fn a_node_whose_own_certificate_is_bad_says_so() {
    let mut sandbox = Sandbox::prepare(single());
    let folder = sandbox.nodes[0].folder.clone();
    sandbox.authority.issue("1", &["node"], Validity::Expired).write(&folder, "node");
    sandbox.refuses_to_start(0, &["certificate", "expired"]);
    let (one, two) = (Authority::new().issue("1", &["node"], Validity::Current), Authority::new());
    one.write(&folder, "node");
    fs::write(folder.join("node.key"), two.issue("1", &["node"], Validity::Current).key).unwrap();
    sandbox.refuses_to_start(0, &["key"]);
    fs::remove_file(folder.join("node.crt")).unwrap();
    sandbox.refuses_to_start(0, &["node.crt"]);
}

/// SE-1. Each of them would otherwise be noticed by another node, which does not say why.
async fn a_certificate_that_others_would_refuse_is_refused_at_the_start() {
    let mut sandbox = Sandbox::prepare(single());
    let folder = sandbox.nodes[0].folder.clone();
    let file = folder.join("node.crt").display().to_string();
    let hosts = ["127.0.0.1"];
    let own = |authority: &Authority, usages: &[Usage]| {
        authority.issue_with(&hosts, "1", &["node"], Validity::Current, usages)
    };
    for (usages, lacks) in [([Usage::ServerAuth], "clientAuth"), ([Usage::ClientAuth], "serverAuth")] {
        own(&sandbox.authority, &usages).write(&folder, "node");
        sandbox.refuses_to_start(0, &[&file, lacks, "hint: "]);
    }
    let stranger = Authority::new();
    own(&stranger, &[]).write(&folder, "node");
    sandbox.refuses_to_start(0, &[&file, "tls.ca", "no authority"]);
    let intermediate = sandbox.authority.intermediate();
    let of_intermediate = own(&intermediate, &[]);
    of_intermediate.write(&folder, "node");
    sandbox.refuses_to_start(0, &[&file, "custodia test intermediate", "append"]);
    let elsewhere = sandbox.authority.issue_for(&["db.example"], "1", &["node"], Validity::Current);
    elsewhere.write(&folder, "node");
    sandbox.refuses_to_start(0, &[&file, "127.0.0.1", "db.example"]);
    fs::write(
        folder.join("node.key"),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    sandbox.refuses_to_start(0, &["node.key", "encrypted", "openssl"]);
    // with its chain, and for both directions, it is taken
    let chain = format!("{}{}", of_intermediate.certificate, intermediate.certificate());
    fs::write(folder.join("node.crt"), chain).unwrap();
    fs::write(folder.join("node.key"), &of_intermediate.key).unwrap();
    sandbox.nodes[0].start();
}

/// OP-2. In the configuration, on the command line, and in a request.
async fn an_address_that_nobody_can_use_is_explained() {
    let mut sandbox = Sandbox::prepare(single());
    let config = fs::read_to_string(sandbox.nodes[0].config_path()).unwrap();
    let listen = format!("listen = \"{}\"", sandbox.nodes[0].address);
    for (lines, words) in [
        ("listen = \"localhost:7443\"", ["listen", "host name", "advertise"]),
        ("listen = \"127.0.0.1\"", ["listen", "IP address and a port", "127.0.0.1:7443"]),
        ("listen = \"0.0.0.0:7443\"\nadvertise = \"0.0.0.0:7443\"", ["advertise", "one machine", "0.0.0.0"]),
        ("listen = \"[::]:7443\"\nadvertise = \"::1:7443\"", ["advertise", "brackets", "[::1]:7443"]),
        ("listen = \"[::]:7443\"\nadvertise = \"https://a:7443\"", ["advertise", "scheme", "TLS"]),
        (
            "listen = \"127.0.0.1:7443\"\nmetrics_listen = \"localhost:1\"",
            ["metrics_listen", "host name", "127.0.0.1:7443"],
        ),
    ] {
        fs::write(sandbox.nodes[0].config_path(), config.replace(&listen, lines)).unwrap();
        sandbox.refuses_to_start(0, &words);
    }
    let client = sandbox.client_file();
    for (address, word) in [
        ("https://localhost:7443", "scheme"),
        ("localhost", "port is missing"),
        ("localhost:0", "port 0"),
        ("0.0.0.0:7443", "one machine"),
        ("::1:7443", "brackets"),
    ] {
        let asked = custodia(&["--client", &client, "--address", address, "cluster", "status"]);
        assert!(
            asked.0 == Some(2) && asked.2.contains(word) && asked.2.contains(address),
            "{address}: {asked:?}"
        );
        let node = format!("1={address}");
        let made = custodia(&["--client", &client, "cluster", "init", "--node", &node]);
        assert!(made.0 == Some(2) && made.2.contains(word), "{address}: {made:?}");
    }
}

/// `ulimit` of the shell that starts the node.
async fn limits_of_the_system_are_said_before_the_node_serves() {
    let sandbox = Sandbox::prepare(single());
    for (limit, words) in [("-f 1000", ["ulimit -f", "LimitFSIZE"]), ("-n 100", ["ulimit -n", "LimitNOFILE"])]
    {
        let script = format!("ulimit {limit} && exec \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &script, "sh"])
            .arg(binary())
            .args(["node", "--config"])
            .arg(sandbox.nodes[0].config_path())
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(words.iter().all(|word| log.contains(word)) && !log.contains("listening"), "{log}");
    }
}

async fn a_node_whose_disk_is_full_says_so_and_ends_and_the_others_go_on_without_it() {
    let mut sandbox = Sandbox::prepare(Options::default());
    sandbox.nodes[2].disk_bytes_max = Some(96 << 20);
    sandbox.spawn_and_init().await;
    sandbox.define_catalogue().await;
    let client = sandbox.client();
    let oracle = Oracle::start(&client, 4).await;
    oracle.wait_for_progress().await;
    // the disk of node 3 fills up from outside
    let pid = sandbox.nodes[2].pid().unwrap();
    let filler = format!("/proc/{pid}/root{}/filler", sandbox.nodes[2].data_path().display());
    let block = vec![0_u8; 1 << 20];
    let mut file = fs::File::create(filler).unwrap();
    while std::io::Write::write_all(&mut file, &block).is_ok() {}
    eventually("the node says that its disk is full", async || {
        sandbox.nodes[2].log_after(0).iter().any(|line| line.to_lowercase().contains("full"))
    })
    .await;
    assert_eq!(sandbox.nodes[2].wait_for_exit(), Some(1));
    let log = sandbox.nodes[2].log_after(0).join("\n");
    assert!(!log.contains("panicked"), "{log}");
    assert!(log.contains("hint: make room on the disk of `data_dir`, then start the node again"), "{log}");
    eventually("another node leads every shard", async || {
        let shards = sandbox.shards(0).await.unwrap_or_default();
        shards.len() == 4 && shards.iter().all(|shard| (1..=2).contains(&shard.leader_node_id))
    })
    .await;
    // so many new customers fall into every shard
    for number in 0..32 {
        let request = ingest("", vec![observation("given_name", &format!("customer {number}"))]);
        client.ingest_profile(request).await.unwrap();
    }
    oracle.wait_for_progress().await;
    assert!(oracle.finish(&client).await > 0);
}
