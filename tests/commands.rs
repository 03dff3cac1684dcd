//! The command line as people and programs use it: what it prints, what it says when it refuses, and what it leaves alone
//! (OP-1, OP-2, OP-4).
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::fs;
use std::process::{Command, ExitCode};

use custodia_tests::actions::stored_customer;
use custodia_tests::{FAST_TIMING, Options, Sandbox, Suite, binary, custodia, eventually, free_port};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn main() -> ExitCode {
    Suite::sharing(Options { nodes: 1, ..Options::default() })
        .shared(an_error_names_the_option_and_not_the_field_of_the_api)
        .shared(an_update_leaves_what_it_does_not_name)
        .shared(every_answer_is_json_on_request)
        .shared(an_empty_variable_of_the_environment_is_not_set)
        .shared(a_call_that_times_out_says_what_to_raise)
        .check(a_certificate_is_not_overwritten)
        .check(a_file_that_cannot_be_used_for_tls_is_named)
        .check(values_of_options_are_completed)
        .alone(metrics_and_health_are_served_beside_each_other)
        .run()
}

/// A command of the admin that succeeds; its output.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let (code, output, errors) = refused(sandbox, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {errors}");
    output
}

fn refused(sandbox: &Sandbox, arguments: &[&str]) -> (Option<i32>, String, String) {
    let client = sandbox.client_file();
    let whole: Vec<_> = ["--client", &client].into_iter().chain(arguments.iter().copied()).collect();
    custodia(&whole)
}

async fn an_error_names_the_option_and_not_the_field_of_the_api(sandbox: &Sandbox) {
    let customer = stored_customer(sandbox, &[("email", "ada@example.org")]).await;
    let record: [&str; 5] = ["consent", "record", &customer, "--purpose", "marketing"];
    let subject: [&str; 3] = ["subject", "set", &customer];
    for (command, options, field, option) in [
        (&record[..], &["--notice", "never", "--act", "clicked"][..], "notice_version", "--notice"),
        (
            &record,
            &["--notice", "v1", "--act", "clicked", "--language", "d€"],
            "evidence.language",
            "--language",
        ),
        (&subject, &["--region", "Nowhere"], "data_subject.regions", "--region"),
        (&subject, &["--birth-date", "soon"], "data_subject.birth_date", "--birth-date"),
    ] {
        let arguments: Vec<_> = command.iter().chain(options).copied().collect();
        let (code, _, errors) = refused(sandbox, &arguments);
        assert!(
            code != Some(0) && errors.starts_with(&format!("error: {option}: ")),
            "{arguments:?}: {errors}"
        );
        assert!(!errors.contains(field), "{errors}");
        let arguments: Vec<_> = arguments.into_iter().chain(["--output", "json"]).collect();
        let error: Value = serde_json::from_str(&refused(sandbox, &arguments).2).unwrap();
        assert!(
            error["error"]["field"].as_str().unwrap().starts_with(field),
            "programs know the API: {error}"
        );
        assert_eq!(error["error"]["option"], option);
    }
    let (_, _, errors) = refused(sandbox, &["profile", "get", "cust_x", "--purpose", "service"]);
    assert!(errors.starts_with("error: <IDS>: "), "{errors}");
}

/// PR-6, CO-4.
async fn an_update_leaves_what_it_does_not_name(sandbox: &Sandbox) {
    let customer = stored_customer(sandbox, &[("email", "ada@example.org")]).await;
    let set = |options: &[&str]| {
        let start: [&str; 5] = ["preferences", "set", &customer, "--purpose", "service"];
        run(sandbox, &start.into_iter().chain(options.iter().copied()).collect::<Vec<_>>())
    };
    set(&[
        "--language",
        "de",
        "--time-zone",
        "Europe/Berlin",
        "--channel",
        "email=ada@example.org",
        "--cap",
        "3/168",
        "--quiet",
        "21:00-08:00",
        "--topic",
        "garden",
    ]);
    let shown = set(&["--language", "fr"]);
    for kept in ["fr", "Europe/Berlin", "ada@example.org", "3 in 168 h", "21:00 to 08:00", "garden"] {
        assert!(shown.contains(kept), "{kept}: {shown}");
    }
    let read: [&str; 5] = ["preferences", "show", &customer, "--purpose", "service"];
    assert_eq!(run(sandbox, &read), shown, "that is what is stored");
    let shown = set(&["--clear", "topics"]);
    assert!(!shown.contains("garden") && shown.contains("21:00 to 08:00"), "{shown}");
    // what the answer to a change does not have is not claimed
    run(sandbox, &["subject", "set", &customer, "--region", "DE"]);
    let shown = run(sandbox, &["subject", "set", &customer, "--restrict", "accuracy contested"]);
    assert!(shown.contains("accuracy contested") && !shown.contains("regions"), "{shown}");
    let shown = run(sandbox, &["subject", "show", &customer, "--purpose", "privacy-requests"]);
    assert!(shown.contains("DE") && shown.contains("accuracy contested"), "{shown}");
}

async fn every_answer_is_json_on_request(sandbox: &Sandbox) {
    let customer = stored_customer(sandbox, &[("email", "ada@example.org")]).await;
    let folder = sandbox.path();
    let file = |name: &str| folder.join(name).display().to_string();
    let (keys, certificates, history) =
        (file("json-keys.toml"), file("json-certificates"), file("history.jsonl"));
    let privacy = ["--purpose", "privacy-requests"];
    for (arguments, key) in [
        (&["cluster", "status"][..], "cluster_id"),
        (&["shard", "list"], "shards"),
        (&["keys", "generate", "--file", &keys], "file"),
        (&["keys", "add", "--file", &keys, "--id", "next"], "id"),
        (&["certificates", "create", "ada", "--role", "agent", "--dir", &certificates], "certificate"),
        (&["purpose", "list"], "purposes"),
        (&["attribute", "get", "email"], "name"),
        (&["namespace", "list"], "namespaces"),
        (&["matter", "list"], "matter_types"),
        (&["trait", "list"], "traits"),
        (&["profile", "get", &customer, "--purpose", "service"], "attributes"),
        (&["consent", "list", &customer, privacy[0], privacy[1]], "consents"),
        (&["consent", "history", &customer, "--file", &history, privacy[0], privacy[1]], "head"),
        (&["consent", "verify", &history], "head"),
        (&["subject", "show", &customer, privacy[0], privacy[1]], "regions"),
        (&["contact", "check", &customer, "--channel", "email", "--purpose", "service"], "verdict"),
        (&["events", "list", &customer, "--purpose", "service"], "events"),
    ] {
        let arguments: Vec<_> = arguments.iter().copied().chain(["--output", "json"]).collect();
        let answer: Value = serde_json::from_str(&run(sandbox, &arguments)).unwrap();
        assert!(answer.get(key).is_some(), "{arguments:?}: {answer}");
    }
    let (code, output, errors) = refused(sandbox, &["--output", "json", "cluster", "statis"]);
    let error: Value = serde_json::from_str(&errors).unwrap();
    assert!(code == Some(2) && output.is_empty(), "{errors}");
    assert!(error["error"]["message"].as_str().unwrap().contains("statis"), "{error}");
}

async fn an_empty_variable_of_the_environment_is_not_set(sandbox: &Sandbox) {
    let client = sandbox.client_file();
    let empty = ["CUSTODIA_ADDRESS", "CUSTODIA_CA", "CUSTODIA_CERTIFICATE", "CUSTODIA_KEY", "CUSTODIA_TOKEN"];
    let empty = empty.into_iter().chain(["CUSTODIA_OUTPUT", "CUSTODIA_TIMEOUT", "CUSTODIA_CLIENT"]);
    let mut command = Command::new(binary());
    command.envs(empty.map(|name| (name, ""))).args(["--client", &client, "cluster", "status"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output =
        Command::new(binary()).env("CUSTODIA_CLIENT", "").args(["cluster", "status"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && errors.contains("--ca is required"), "{errors}");
}

async fn a_call_that_times_out_says_what_to_raise(sandbox: &Sandbox) {
    // the port takes connections and says nothing
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (code, _, errors) =
        refused(sandbox, &["--address", &address, "--timeout", "1ms", "cluster", "status"]);
    assert_eq!(code, Some(3), "{errors}");
    assert!(errors.contains("timed out after 1 ms") && errors.contains("raise --timeout"), "{errors}");
}

/// A second run must not end the use of the first one's certificate.
fn a_certificate_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("certificates").display().to_string();
    let create = |more: &[&str]| {
        let start: [&str; 7] = ["certificates", "create", "ops", "--role", "operator", "--dir", &dir];
        custodia(&start.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let key = || fs::read(format!("{dir}/ops-key.pem")).unwrap();
    assert_eq!(create(&[]).0, Some(0));
    let first = key();
    let (code, _, errors) = create(&[]);
    assert!(code == Some(1) && errors.contains("ops-key.pem exists already"), "{errors}");
    assert_eq!(key(), first);
    assert_eq!(create(&["--replace"]).0, Some(0));
    assert_ne!(key(), first);
    for (name, role) in [("a/b", "agent"), ("alpha", "node")] {
        let arguments: [&str; 9] =
            ["certificates", "create", name, "--role", role, "--host", "a.example", "--dir", &dir];
        let (code, _, errors) = custodia(&arguments);
        assert!(code == Some(2) && errors.contains("<NAME>"), "{name}: {errors}");
    }
}

/// SE-1. Before a node is asked, by option and path.
fn a_file_that_cannot_be_used_for_tls_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    for (name, role) in [("ops", "operator"), ("other", "operator")] {
        assert_eq!(custodia(&["certificates", "create", name, "--role", role, "--dir", &dir]).0, Some(0));
    }
    let file = |name: &str| format!("{dir}/{name}");
    fs::write(file("text"), "no PEM").unwrap();
    fs::write(
        file("locked"),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    let server = custodia_tests::Authority::new().issue_with(
        &["127.0.0.1"],
        "ops",
        &["operator"],
        custodia_tests::Validity::Current,
        &[rcgen::ExtendedKeyUsagePurpose::ServerAuth],
    );
    server.write(folder.path(), "server");
    for (ca, certificate, key, words) in [
        ("missing", "ops.pem", "ops-key.pem", ["--ca", "missing"]),
        ("text", "ops.pem", "ops-key.pem", ["--ca", "text holds no valid PEM certificate"]),
        ("ca.pem", "text", "ops-key.pem", ["--certificate", "text holds no valid PEM certificate"]),
        ("ca.pem", "ops.pem", "text", ["--key", "text holds no valid PEM private key"]),
        ("ca.pem", "ops.pem", "locked", ["--key", "encrypted"]),
        ("ca.pem", "ops.pem", "other-key.pem", ["--key", "does not match"]),
        ("ca.pem", "server.crt", "server.key", ["--certificate", "clientAuth"]),
    ] {
        let (ca, certificate, key) = (file(ca), file(certificate), file(key));
        let files: [&str; 6] = ["--ca", &ca, "--certificate", &certificate, "--key", &key];
        let arguments = files.into_iter().chain(["--address", "127.0.0.1:1", "cluster", "status"]);
        let (code, _, errors) = custodia(&arguments.collect::<Vec<_>>());
        assert!(code == Some(2) && words.iter().all(|word| errors.contains(word)), "{words:?}: {errors}");
    }
}

fn values_of_options_are_completed() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, errors) = custodia(&["completions", shell]);
        assert_eq!(code, Some(0), "{errors}");
        for value in ["legitimate-interests", "double-opt-in", "ad-storage", "operator", "opt-out"] {
            assert!(script.contains(value), "{value} for {shell}");
        }
    }
    let (code, _, errors) = custodia(&["keys", "rotate", "--level", "shart"]);
    assert!(code == Some(2) && errors.contains("bucket") && errors.contains("'shard'"), "{errors}");
}

/// The body of `GET path`, with its status line.
async fn http(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

async fn metrics_and_health_are_served_beside_each_other() {
    let address = format!("127.0.0.1:{}", free_port());
    let config = format!("metrics_listen = \"{address}\"\n{FAST_TIMING}");
    let mut sandbox = Sandbox::prepare(Options { nodes: 1, config, ..Options::default() });
    sandbox.nodes[0].start();
    let status = async |path: &str| http(&address, path).await.unwrap().lines().next().unwrap().to_owned();
    assert!(status("/healthz").await.contains("200"));
    assert!(status("/readyz").await.contains("503"), "it is in no cluster yet");
    assert!(status("/nothing").await.contains("404"));
    let init = format!("1={}", sandbox.nodes[0].address);
    run(&sandbox, &["cluster", "init", "--shards", "4", "--node", &init]);
    eventually("the node is ready", async || status("/readyz").await.contains("200")).await;
    let page = http(&address, "/metrics").await.unwrap();
    let value = |name: &str| -> f64 {
        let line = page.lines().find(|line| line.starts_with(name) && !line.starts_with('#'));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("{name}: {page}"))
    };
    for name in [
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
        "process_threads",
        "custodia_build_info{",
        "custodia_certificate_days_left{certificate=\"node\"}",
        "custodia_raft_elections_total",
        "custodia_log_disk_bytes",
        "custodia_disk_free_bytes",
    ] {
        assert!(value(name) > 0.0, "{name}");
    }
    for name in [
        "process_cpu_seconds_total",
        "custodia_raft_replication_lag_entries",
        "custodia_raft_apply_lag_entries",
    ] {
        assert!(value(name) >= 0.0, "{name}");
    }
    assert!(page.contains(&format!("version=\"{}\"", env!("CARGO_PKG_VERSION"))), "{page}");
}
