//! The manifests: which crate may depend on which, lints, and versions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::source::root;

/// Allowed edges between the workspace's crates: a crate may depend on those named, no others.
const EDGES: &[(&str, &[&str])] = &[
    ("custodia-profile", &[]),
    ("custodia-linkage", &[]),
    ("custodia-proto", &[]),
    ("custodia-seal", &["custodia-profile"]),
    ("custodia-store", &["custodia-profile"]),
    ("custodia-consensus", &["custodia-profile", "custodia-seal", "custodia-store"]),
    ("custodia-client", &["custodia-profile", "custodia-proto"]),
    (
        "custodia-server",
        &[
            "custodia-profile",
            "custodia-linkage",
            "custodia-seal",
            "custodia-store",
            "custodia-consensus",
            "custodia-proto",
        ],
    ),
    ("custodia", &["custodia-profile", "custodia-proto", "custodia-client", "custodia-server"]),
    ("custodia-tests", &["custodia-proto", "custodia-client"]),
    ("custodia-benches", &["custodia-linkage", "custodia-proto", "custodia-client", "custodia-tests"]),
];

/// Third-party crates that one crate alone may use directly.
const SOLE_USERS: &[(&str, &str)] = &[
    ("aws-lc-rs", "custodia-seal"),
    ("openraft", "custodia-consensus"),
    ("openraft-rt", "custodia-consensus"),
    ("openraft-rt-tokio", "custodia-consensus"),
    ("raft-engine", "custodia-store"),
    ("fjall", "custodia-store"),
    ("sled", "custodia-store"),
    ("tonic-health", "custodia-server"),
    ("tonic-reflection", "custodia-server"),
    ("tokio-rustls", "custodia-server"),
];

fn metadata() -> cargo_metadata::Metadata {
    cargo_metadata::MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".into()])
        .exec()
        .expect("cargo metadata runs")
}

pub(crate) fn crates_depend_only_along_the_allowed_edges() {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let metadata = metadata();
    let names: BTreeSet<String> = metadata.packages.iter().map(|package| package.name.to_string()).collect();
    assert_eq!(names.iter().map(String::as_str).collect::<BTreeSet<_>>(), allowed.keys().copied().collect());
    for package in &metadata.packages {
        let edges = allowed[package.name.as_str()];
        for dependency in &package.dependencies {
            let inside = names.contains(&dependency.name);
            let development = dependency.kind == cargo_metadata::DependencyKind::Development;
            if inside && !development {
                assert!(
                    edges.contains(&dependency.name.as_str()),
                    "{} must not depend on {}",
                    package.name,
                    dependency.name
                );
            }
        }
    }
}

pub(crate) fn sharp_tools_have_one_user() {
    let sole: BTreeMap<&str, &str> = SOLE_USERS.iter().copied().collect();
    for package in &metadata().packages {
        for dependency in &package.dependencies {
            if dependency.kind == cargo_metadata::DependencyKind::Development {
                continue;
            }
            if let Some(user) = sole.get(dependency.name.as_str()) {
                assert_eq!(package.name.as_str(), *user, "{} belongs to {user} alone", dependency.name);
            }
        }
    }
}

pub(crate) fn every_package_takes_the_workspace_lints() {
    for package in &metadata().packages {
        let manifest = fs::read_to_string(&package.manifest_path).expect("a manifest can be read");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} lacks [lints] workspace = true",
            package.name
        );
    }
}

pub(crate) fn dependency_versions_stand_in_the_workspace_manifest() {
    for package in &metadata().packages {
        let manifest = fs::read_to_string(&package.manifest_path).expect("a manifest can be read");
        let parsed: toml::Table = manifest.parse().expect("a manifest is TOML");
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = parsed.get(section).and_then(toml::Value::as_table) else { continue };
            for (name, value) in dependencies {
                let inherits = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(inherits, "{}: {name} does not inherit its version", package.name);
            }
        }
    }
}
