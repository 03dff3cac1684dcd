//! Crashes of the engines on disk: kill -9 in the middle of batches, and power cuts. After each: every batch whole, none
//! missing before the applied number, nothing lost that was promised; or, after a power cut, set aside.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use custodia_store::{EngineKind, Opened, open_engine};

use crate::image::{Cut, Image};
use crate::model::{self, CACHE_BYTES, Found, KINDS_ON_DISK};
use crate::random::Random;

const CHILD_FOLDER: &str = "CUSTODIA_CRASH_FOLDER";
const CHILD_ENGINE: &str = "CUSTODIA_CRASH_ENGINE";
const KILLS: usize = 12;
const POWER_CUTS: usize = 16;

fn open(folder: &Path, kind: EngineKind) -> Opened {
    open_engine(&folder.join("state"), kind, CACHE_BYTES).unwrap()
}

/// Not a test of its own: the process that is killed. It says every batch that `write` has accepted.
#[test]
fn child_writes_until_it_is_killed() {
    let (Ok(folder), Ok(kind)) = (std::env::var(CHILD_FOLDER), std::env::var(CHILD_ENGINE)) else { return };
    let engine = open(Path::new(&folder), kind.parse().unwrap()).engine;
    for number in model::applied(&*engine).unwrap() + 1.. {
        engine.write(model::batch(number)).unwrap();
        println!("written {number}");
        if number % 16 == 0 {
            engine.flush().unwrap();
        }
    }
}

/// Starts the child, kills it after a while, and gives the last batch that it said was written.
fn write_and_kill(folder: &Path, kind: EngineKind, life: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine_crash::child_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_ENGINE, kind.name())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut written = 0;
    let mut first = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(number) = line.strip_prefix("written ") else { continue };
        written = number.parse().unwrap();
        if first.get_or_insert_with(Instant::now).elapsed() > life {
            // SIGKILL; what is still in the pipe is read on.
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    written
}

fn survives_kill(kind: EngineKind) {
    let mut random = Random::seeded();
    let folder = tempfile::tempdir().unwrap();
    let mut batches = 0;
    for round in 0..KILLS {
        let life = Duration::from_millis(random.below(40));
        let written = write_and_kill(folder.path(), kind, life);
        let opened = open(folder.path(), kind);
        assert_eq!(opened.set_aside, None, "round {round}");
        let Found::Whole(applied) = model::verify(&*opened.engine) else { panic!("round {round}: refused") };
        assert!(applied >= written, "round {round}: {written} was written, {applied} is there");
        assert!(applied > batches, "round {round}: nothing was written");
        batches = applied;
    }
    println!("{kind}: {batches} batches over {KILLS} kills");
}

#[test]
fn fjall_survives_kill_in_the_middle_of_batches() {
    survives_kill(EngineKind::Fjall);
}

#[test]
fn sled_survives_kill_in_the_middle_of_batches() {
    survives_kill(EngineKind::Sled);
}

/// One power cut: durable through `durable`, then `lost` batches of which any part may have reached the disk.
fn power_cut(kind: EngineKind, how: Cut, random: &mut Random) -> Option<u64> {
    let durable = 5 + random.below(60);
    // sled's write ends with a flush, so only the batch under way can be torn.
    let lost = if kind == EngineKind::Sled { 1 } else { 1 + random.below(30) };
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), kind).engine;
    for number in 1..=durable {
        engine.write(model::batch(number)).unwrap();
    }
    engine.flush().unwrap();
    let before = Image::take(&folder.path().join("state"));
    for number in durable + 1..=durable + lost {
        engine.write(model::batch(number)).unwrap();
    }
    let now = Image::take(&folder.path().join("state"));
    drop(engine);

    let disk = tempfile::tempdir().unwrap();
    Image::cut_between(&before, &now, how, random).write(&disk.path().join("state"));
    let opened = open(disk.path(), kind);
    let found = model::verify(&*opened.engine);
    match opened.set_aside {
        Some(aside) => {
            assert!(aside.exists());
            assert_eq!(found, Found::Whole(0), "a fresh engine is empty");
            None
        }
        None => {
            let Found::Whole(applied) = found else { panic!("opened, but refuses to read") };
            assert!(
                (durable..=durable + lost).contains(&applied),
                "{durable} was flushed, {applied} is there"
            );
            Some(applied)
        }
    }
}

#[test]
fn power_cut_leaves_whole_batches_or_the_engine_is_set_aside() {
    let mut random = Random::seeded();
    for kind in KINDS_ON_DISK {
        for how in [Cut::Tail, Cut::Pages] {
            let opened = (0..POWER_CUTS).filter(|_| power_cut(kind, how, &mut random).is_some()).count();
            println!("{kind} {how:?}: {opened} of {POWER_CUTS} opened, the rest set aside");
            if (kind, how) == (EngineKind::Fjall, Cut::Tail) {
                assert_eq!(opened, POWER_CUTS, "a cut journal is what fjall recovers from");
            }
        }
    }
}
