//! fjall's journals: the framing of a batch, which fjall's checksum does not cover, flipped bit by bit; torn ends; and the
//! journals of an engine that seals and removes some.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use custodia_profile::{CustomerId, PoolId};
use custodia_store::{Batch, EngineKind, Key, Opened, open_engine};

use crate::engine_corruption::{BATCHES, image, write_tables};
use crate::model::{self, CACHE_BYTES, Found, Subject, group};

const START_BYTES: usize = 13;
const NUMBER: Range<usize> = 5..13;
const END_BYTES: usize = 13;
const TRAILER: &[u8] = b"FJL\x03";

/// With which batch each journal begins and the last one ends, counted from 0. The first 60 are in a table too.
const LAYOUTS: [&[usize]; 3] = [&[0, 120], &[0, 90, 120], &[60, 90, 120]];

fn open(path: &Path) -> Opened {
    open_engine(path, EngineKind::Fjall, CACHE_BYTES).unwrap()
}

/// A database with one journal, and the bytes of its batches.
struct Clean {
    folder: tempfile::TempDir,
    batches: Vec<Vec<u8>>,
}

impl Clean {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        image(Subject::Engine(EngineKind::Fjall)).write(&folder.path().join("state"));
        let batches = batches_of(&folder.path().join("state/0.jnl"));
        assert_eq!(batches.len(), usize::try_from(BATCHES).unwrap(), "each batch ends with the trailer");
        Self { folder, batches }
    }

    /// The batches of each journal.
    fn journals(&self, layout: &[usize]) -> Vec<Vec<Vec<u8>>> {
        layout.windows(2).map(|ends| self.batches[ends[0]..ends[1]].to_vec()).collect()
    }

    /// The database with these journals, the last of them number 7.
    fn write(&self, journals: &[Vec<Vec<u8>>]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        copy(&self.folder.path().join("state"), &path);
        fs::remove_file(path.join("0.jnl")).unwrap();
        for (journal, number) in journals.iter().zip(8 - journals.len()..) {
            fs::write(path.join(format!("{number}.jnl")), journal.concat()).unwrap();
        }
        (folder, path)
    }
}

fn batches_of(journal: &Path) -> Vec<Vec<u8>> {
    let journal = fs::read(journal).unwrap();
    let mut batches = Vec::new();
    let mut rest = &journal[..];
    while let Some(at) = rest.windows(TRAILER.len()).position(|window| window == TRAILER) {
        let (batch, after) = rest.split_at(at + TRAILER.len());
        batches.push(batch.to_vec());
        rest = after;
    }
    batches
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
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

/// Panics unless the engine is empty or whole, and goes on from there.
fn goes_on(path: &Path, what: &str) -> Found {
    let opened = open(path);
    let found = model::verify(&*opened.engine);
    let Found::Whole(applied) = found else { panic!("{what}: opened, but refuses to read") };
    if opened.set_aside.is_some() {
        assert_eq!(applied, 0, "{what}: a fresh engine is empty");
        return found;
    }
    opened.engine.write(model::batch(applied + 1)).unwrap();
    drop(opened);
    let opened = open(path);
    assert!(opened.set_aside.is_none(), "{what}: opens again");
    assert_eq!(model::verify(&*opened.engine), Found::Whole(applied + 1), "{what}");
    found
}

/// The failures: a batch with a lower number was passed over as if it were in a table, or came before the one that it follows;
/// a sealed journal ended where a batch was not whole, and the next one went on.
#[test]
fn flipped_bit_in_the_framing_of_a_batch_brings_no_older_value_back() {
    let clean = Clean::new();
    for layout in LAYOUTS {
        let sound = clean.journals(layout);
        assert_eq!(goes_on(&clean.write(&sound).1, "sound"), Found::Whole(BATCHES));
        let mut set_aside = 0;
        let mut flips = 0;
        for (journal, batches) in sound.iter().enumerate() {
            for batch in [0, batches.len() / 2, batches.len() - 1] {
                let length = batches[batch].len();
                for byte in (0..START_BYTES).chain(length - END_BYTES..length) {
                    for bit in 0..8 {
                        // one bit is like another where all of them must fit
                        if !NUMBER.contains(&byte) && bit != byte % 8 {
                            continue;
                        }
                        let mut journals = sound.clone();
                        journals[journal][batch][byte] ^= 1 << bit;
                        let (_folder, path) = clean.write(&journals);
                        let what =
                            format!("{layout:?}: journal {journal}, batch {batch}, byte {byte}, bit {bit}");
                        let found = goes_on(&path, &what);
                        set_aside += usize::from(found == Found::Whole(0));
                        flips += 1;
                    }
                }
            }
        }
        println!("{layout:?}: {flips} flips, {set_aside} set aside");
    }
}

/// Places at which a journal is torn.
const STEPS: usize = 12;

#[test]
fn torn_end_of_the_newest_journal_costs_only_what_was_torn() {
    let clean = Clean::new();
    for layout in LAYOUTS {
        let sound = clean.journals(layout);
        let (newest, sealed) = sound.split_last().unwrap();
        let bytes = newest.concat();
        let before = if sealed.is_empty() { BATCHES / 2 } else { 90 };
        for step in 0..STEPS {
            // A journal that ends before what a table holds has lost what was synced: that is damage.
            let synced: usize = if sealed.is_empty() { newest[..60].concat().len() } else { 0 };
            let end = synced + (bytes.len() - synced) * step / STEPS;
            for garbage in [&b""[..], &[0; 5000], &[1; 30], b"\x02\x01\x03"] {
                let (_folder, path) = clean.write(&sound);
                let torn = [&bytes[..end], garbage].concat();
                fs::write(path.join("7.jnl"), torn).unwrap();
                let Found::Whole(applied) = goes_on(&path, &format!("{layout:?} torn at {end}")) else {
                    panic!("whole")
                };
                assert!((before..=BATCHES).contains(&applied), "{layout:?} torn at {end}: {applied}");
            }
        }
    }
}

#[test]
fn lost_journal_between_others_and_a_cut_sealed_one_are_damage() {
    let clean = Clean::new();
    let sound = clean.journals(&[0, 90, 105, 120]);
    let (_folder, path) = clean.write(&sound);
    fs::remove_file(path.join("6.jnl")).unwrap();
    assert_eq!(goes_on(&path, "lost"), Found::Whole(0));

    let (_folder, path) = clean.write(&sound);
    let sealed = sound[1].concat();
    fs::write(path.join("6.jnl"), &sealed[..sealed.len() - 1]).unwrap();
    assert_eq!(goes_on(&path, "cut"), Found::Whole(0));
}

fn key(number: u64) -> Key {
    Key::core(group(), &CustomerId::from_parts(number, [7; 10], PoolId::DEFAULT))
}

fn put(number: u64, value: Vec<u8>) -> Batch {
    let mut batch = Batch::new();
    batch.put(key(number).into_bytes(), value);
    batch
}

/// It has lost batches that were synced. That nothing older is served would hold here, but no longer for the next flip: the
/// tables would have batches that are after some of the journals, and not in them.
#[test]
fn newest_journal_that_ends_before_the_tables_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let engine = open(&path);
    (0..6).for_each(|number| engine.engine.write(put(number, vec![1])).unwrap());
    drop(engine);
    write_tables(&path);
    let batches = batches_of(&path.join("0.jnl"));
    for (kept, set_aside) in [(6, false), (0, false), (3, true)] {
        let copied = folder.path().join(format!("kept-{kept}"));
        copy(&path, &copied);
        fs::write(copied.join("0.jnl"), batches[..kept].concat()).unwrap();
        let opened = open(&copied);
        assert_eq!(opened.set_aside.is_some(), set_aside, "{kept} batches are in the journal");
        let found = opened.engine.get(key(5).as_ref()).unwrap();
        assert_eq!(found.is_none(), set_aside, "{kept} batches are in the journal");
    }
}

/// Bytes of each value: a batch of 4 fills a memtable.
const VALUE_BYTES: usize = 1024 * 1024;

/// What the check takes for granted holds in an engine that seals journals and removes them, opened anew now and then.
#[test]
fn engine_that_seals_and_removes_journals_is_never_taken_for_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let value = |number: u64| vec![u8::try_from(number % 251).unwrap(); VALUE_BYTES];
    let mut number = 0;
    let (mut opened, mut sealed) = (0, false);
    while !sealed || path.join("0.jnl").exists() {
        let engine = open(&path);
        assert!(engine.set_aside.is_none(), "after {number}");
        opened += 1;
        for _ in 0..17 {
            engine.engine.write(put(number % 24, value(number))).unwrap();
            number += 1;
        }
        sealed |= path.join("1.jnl").exists();
        assert!(number < 1_000, "no journal was removed");
    }
    let engine = open(&path);
    assert!(engine.set_aside.is_none());
    for back in 1..=24 {
        let found = engine.engine.get(key((number - back) % 24).as_ref()).unwrap().unwrap();
        assert!(found == value(number - back), "{back} before {number}");
    }
    println!("{opened} times opened, {number} batches");
}
