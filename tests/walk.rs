//! The walk of `cluster/README.md`, as it stands there: a newcomer who types its commands gets to the end (OP-1).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says why and stops")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode};

use custodia_tests::{Suite, binary};

fn main() -> ExitCode {
    Suite::default()
        .check(the_commands_are_found_in_their_order)
        .alone(the_page_about_running_a_cluster_can_be_followed_to_its_end)
        .run()
}

/// The blocks of shell commands of a page, joined, without the indentation of a list.
fn commands(page: &str) -> String {
    let mut script = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let text = line.trim_start();
        if text != "```sh" {
            continue;
        }
        let indentation = line.len() - text.len();
        for line in lines.by_ref().take_while(|line| line.trim_start() != "```") {
            script.push_str(line.get(indentation..).unwrap_or_default());
            script.push('\n');
        }
    }
    script
}

fn the_commands_are_found_in_their_order() {
    let page = "text\n```sh\nfirst\n```\n1. step\n\n   ```sh\n   second \\\n     third\n\n   ```\n```toml\nno = 1\n```\n";
    assert_eq!(commands(page), "first\nsecond \\\n  third\n\n");
}

/// In a network of its own, where its ports are free.
async fn the_page_about_running_a_cluster_can_be_followed_to_its_end() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(repository.join("cluster/README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    symlink(repository.join("cluster"), folder.path().join("cluster")).unwrap();
    let programs = folder.path().join("programs");
    fs::create_dir(&programs).unwrap();
    symlink(binary(), programs.join("custodia")).unwrap();
    let script = commands(&page);
    assert!(script.contains("cluster init") && script.contains("consent verify"), "{script}");
    let file = folder.path().join("walk.sh");
    // What a person sees at once: a command that fails ends the walk, and with it the nodes.
    fs::write(
        &file,
        format!("set -euo pipefail\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{script}"),
    )
    .unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let walk = ["--map-root-user", "--net", "--kill-child", "--fork", "--pid", "--mount-proc"];
    let output = Command::new("unshare")
        .args(walk)
        .args(["bash", "-c", "ip link set lo up && exec bash \"$0\""])
        .arg(&file)
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{errors}");
    for expected in [
        "16 shards: 16 with a leader, 16 with all replicas",
        "customers created",
        "ada@example.org",
        "consent-withdrawn",
        "complete and unchanged",
    ] {
        assert!(said.contains(expected), "{expected}: {said}\n{errors}");
    }
}
