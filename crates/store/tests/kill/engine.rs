//! The engines on disk, killed during writes: every batch is whole, none is missing before the applied number, and none is
//! lost after `write` returned.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use custodia_store::StateEngine;

use crate::model::{self, Found, Subject};
use crate::random::Random;
use crate::{SPAWN, spawn};

const CHILD_FOLDER: &str = "CUSTODIA_CRASH_FOLDER";
const CHILD_ENGINE: &str = "CUSTODIA_CRASH_ENGINE";
const KILLS: usize = 12;

fn open(folder: &Path, subject: Subject) -> Arc<dyn StateEngine> {
    let (engine, set_aside) = subject.open(&folder.join("state")).unwrap();
    assert!(set_aside.is_empty(), "{set_aside:?}");
    engine
}

/// The subject of a name that its `Debug` gave.
fn subject_of(name: &str) -> Subject {
    Subject::ON_DISK.into_iter().find(|subject| format!("{subject:?}") == name).unwrap()
}

/// Not a test of its own: the process that is killed. It prints the number of every batch after `write` returned.
#[test]
fn child_writes_until_it_is_killed() {
    let (Ok(folder), Ok(kind)) = (std::env::var(CHILD_FOLDER), std::env::var(CHILD_ENGINE)) else { return };
    let engine = open(Path::new(&folder), subject_of(&kind));
    for number in model::applied(&*engine).unwrap() + 1.. {
        engine.write(model::batch(number)).unwrap();
        println!("written {number}");
        if number % 16 == 0 {
            engine.flush().unwrap();
        }
    }
}

/// Starts the child, kills it after a while and returns the last batch that it reported as written.
fn write_and_kill(folder: &Path, subject: Subject, life: Duration) -> u64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "engine::child_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_ENGINE, format!("{subject:?}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = spawn(&mut command);
    let mut written = 0;
    let mut first = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(number) = line.strip_prefix("written ") else { continue };
        written = number.parse().unwrap();
        if first.get_or_insert_with(Instant::now).elapsed() > life {
            // SIGKILL; the loop reads the rest of the pipe.
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    written
}

fn survives_kill(subject: Subject) {
    let mut random = Random::seeded();
    let folder = tempfile::tempdir().unwrap();
    let mut batches = 0;
    for round in 0..KILLS {
        let life = Duration::from_millis(random.below(40));
        let written = write_and_kill(folder.path(), subject, life);
        let _no_spawn = SPAWN.read();
        let engine = open(folder.path(), subject);
        let Found::Whole(applied) = model::verify(&*engine) else { panic!("round {round}: refused") };
        assert!(applied >= written, "round {round}: {written} was written, {applied} is there");
        assert!(applied > batches, "round {round}: nothing was written");
        batches = applied;
    }
    println!("{subject:?}: {batches} batches over {KILLS} kills");
}

#[test]
fn engine_survives_kill_in_the_middle_of_batches() {
    for subject in Subject::ON_DISK {
        survives_kill(subject);
    }
}
