//! Configurations that are accepted, and those that are refused with the key at fault.

use super::*;

const LEAST: &str = r#"
node_id = 1
listen = "127.0.0.1:7100"
data_dir = "data"
root_key_file = "/keys/root.key"
"#;
const TLS: &str = "[tls]\nca = \"ca.crt\"\ncertificate = \"node.crt\"\nkey = \"node.key\"\n";

fn with(lines: &str, sections: &str) -> Result<Config, ConfigError> {
    Config::parse(&format!("{LEAST}{lines}\n{TLS}{sections}"), Path::new("/etc/custodia"))
}

fn refusal(lines: &str, sections: &str) -> String {
    with(lines, sections).expect_err("refused").to_string()
}

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let config = with("", "").expect("valid");
    assert_eq!(config.state_engine, StateEngineName::Fjall);
    assert_eq!((config.cache_bytes, config.verify_interval_s), (268_435_456, 86_400));
    assert_eq!((config.advertise, config.metrics_listen, config.tokens), (None, None, None));
    assert!(!config.reflection);
    assert_eq!(config.limits, Limits::default());
    assert_eq!((config.log.format, config.log.level), (LogFormat::Text, LogLevel::Info));
    assert_eq!(config.timing, TimingConfig::default());
    assert_eq!(config.controller, ControllerConfig::default());
}

#[test]
fn the_controller_is_taken_as_it_is_stated_or_its_key_is_named() {
    let stated = "[controller]\nname = \"Muster GmbH\"\ncountry = \"DE\"\nphone = \"tel:+49-30-1\"\n\
                  policy_url = \"https://muster.example/privacy\"\n";
    let controller = with("", stated).expect("valid").controller;
    assert_eq!((controller.name.as_str(), controller.country.as_str()), ("Muster GmbH", "DE"));
    for (line, key) in [
        ("country = \"Germany\"", "controller.country"),
        ("phone = \"030 1\"", "controller.phone"),
        ("rights_url = \"http://muster.example\"", "controller.rights_url"),
        ("name = \"a\\u0007\"", "controller.name"),
    ] {
        let message = refusal("", &format!("[controller]\n{line}"));
        assert!(message.contains(key), "{message}");
    }
    assert!(refusal("", "[controller]\nfax = \"1\"").contains("unknown field"));
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let config = with("", "[tokens]\nfile = \"tokens.toml\"").expect("valid");
    assert_eq!(config.data_dir, Path::new("/etc/custodia/data"));
    assert_eq!(config.tls.key, Path::new("/etc/custodia/node.key"));
    assert_eq!(config.root_key_file, Path::new("/keys/root.key"));
    assert_eq!(config.tokens.expect("tokens").file, Path::new("/etc/custodia/tokens.toml"));
}

#[test]
fn every_value_may_be_written() {
    let lines = "advertise = \"node-1.example:7100\"\nstate_engine = \"sled\"\ncache_bytes = 8388608\n\
                 metrics_listen = \"127.0.0.1:0\"\nreflection = true";
    let sections = "[limits]\nbatch_ids_max = 7\n[log]\nformat = \"json\"\nlevel = \"debug\"\n\
                    [timing]\nheartbeat_ms = 100\nelection_min_ms = 400\nelection_max_ms = 800\n";
    let config = with(lines, sections).expect("valid");
    assert_eq!(config.state_engine, StateEngineName::Sled);
    assert_eq!(config.limits, Limits { batch_ids_max: 7, ..Limits::default() });
    assert_eq!(config.log, LogConfig { format: LogFormat::Json, level: LogLevel::Debug });
}

#[test]
fn an_unknown_key_refuses_to_start_and_is_named() {
    for (lines, sections, key) in [
        ("colour = \"red\"", "", "colour"),
        ("", "[limits]\nno_such_limit = 1", "no_such_limit"),
        ("", "[log]\nfile = \"x\"", "file"),
        ("", "[timing]\nlease_ms = 1", "lease_ms"),
        ("", "[raft]\nx = 1", "raft"),
        ("", "[tokens]\nfile = \"x\"\nttl = 1", "ttl"),
    ] {
        let message = refusal(lines, sections);
        assert!(message.contains("unknown field") && message.contains(key), "{message}");
    }
}

#[test]
fn a_missing_key_is_named() {
    for key in ["node_id", "listen", "data_dir", "root_key_file"] {
        let text: String = format!("{LEAST}{TLS}")
            .lines()
            .filter(|line| !line.starts_with(key))
            .collect::<Vec<_>>()
            .join("\n");
        let message = Config::parse(&text, Path::new("")).expect_err("refused").to_string();
        assert!(message.contains("missing field") && message.contains(key), "{message}");
    }
    let message = Config::parse(LEAST, Path::new("")).expect_err("refused").to_string();
    assert!(message.contains("`tls`"), "{message}");
}

#[test]
fn a_value_of_the_wrong_type_is_shown_with_its_key() {
    for (lines, sections, key) in [
        ("metrics_listen = \"no address\"", "", "metrics_listen"),
        ("state_engine = \"redb\"", "", "state_engine"),
        ("cache_bytes = -1", "", "cache_bytes"),
        ("reflection = 1", "", "reflection"),
        ("", "[log]\nlevel = \"loud\"", "level"),
        ("", "[limits]\nbatch_ids_max = \"7\"", "batch_ids_max"),
    ] {
        let message = refusal(lines, sections);
        assert!(message.contains(key), "{message}");
    }
    let zero = format!("{LEAST}{TLS}").replace("node_id = 1", "node_id = 0");
    assert!(Config::parse(&zero, Path::new("")).expect_err("refused").to_string().contains("node_id"));
}

#[test]
fn a_value_out_of_bounds_is_named_with_its_bounds() {
    for (lines, sections, key) in [
        ("cache_bytes = 1024", "", "cache_bytes"),
        ("advertise = \"nowhere\"", "", "advertise"),
        ("advertise = \"host:99999\"", "", "advertise"),
        ("metrics_listen = \"127.0.0.1:7100\"", "", "metrics_listen"),
        ("", "[limits]\nbatch_ids_max = 501", "limits.batch_ids_max"),
        ("", "[limits]\nhandshakes_max = 0", "limits.handshakes_max"),
        ("", "[limits]\ndeadline_default_ms = 70000", "limits.deadline_default_ms"),
        ("", "[timing]\nheartbeat_ms = 1", "timing.heartbeat_ms"),
        ("", "[timing]\nheartbeat_ms = 500", "timing.election_min_ms"),
        ("", "[timing]\nelection_max_ms = 800", "timing.election_max_ms"),
        ("", "[timing]\ndrain_ms = 300001", "timing.drain_ms"),
    ] {
        match with(lines, sections).expect_err(key) {
            ConfigError::Invalid { key: named, .. } => assert_eq!(named, key),
            other @ (ConfigError::Unreadable { .. } | ConfigError::Syntax(_)) => panic!("{key}: {other}"),
        }
    }
}

#[test]
fn the_advertised_port_zero_is_the_bound_one() {
    let bound: SocketAddr = "127.0.0.1:4711".parse().expect("an address");
    assert_eq!(with("", "").expect("valid").advertised(bound), "127.0.0.1:4711");
    assert_eq!(with("advertise = \"a.example:0\"", "").expect("valid").advertised(bound), "a.example:4711");
    assert_eq!(with("advertise = \"[::1]:7100\"", "").expect("valid").advertised(bound), "[::1]:7100");
}

#[test]
fn listening_everywhere_needs_an_advertised_address() {
    let everywhere = format!("{LEAST}{TLS}").replace("127.0.0.1:7100", "0.0.0.0:7100");
    let message = Config::parse(&everywhere, Path::new("")).expect_err("refused").to_string();
    assert!(message.contains("`advertise`"), "{message}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let message = Config::load(Path::new("/no/such/node.toml")).expect_err("refused").to_string();
    assert!(message.contains("/no/such/node.toml"), "{message}");
}
