//! Power cuts of the engines on disk. After each, every batch is whole, none is missing before the applied number and no
//! flushed batch is lost, or the engine is set aside. (Kill -9 is in `tests/kill`.)

use std::path::Path;

use custodia_store::{EngineKind, Opened, open_engine};

use crate::image::{Cut, Image};
use crate::model::{self, CACHE_BYTES, Found};
use crate::random::Random;
use crate::subjects::KINDS_ON_DISK;

const POWER_CUTS: usize = 12;

fn open(folder: &Path, kind: EngineKind) -> Opened {
    open_engine(&folder.join("state"), kind, CACHE_BYTES).unwrap()
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
            if kind == EngineKind::Fjall {
                assert_eq!(opened, POWER_CUTS, "a torn journal must not cost the node its state");
            }
        }
    }
}
