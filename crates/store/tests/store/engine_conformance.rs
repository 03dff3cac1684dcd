//! One suite for every state engine: the guarantees of `engine.rs` without crashes or damage.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use custodia_store::EngineKind::{Fjall, Memory, Sled};
use custodia_store::{Batch, Pair, StateEngine};

use crate::model::{self, Subject};

/// A key in a group, as all keys are.
fn key(text: impl AsRef<str>) -> Vec<u8> {
    [&[0, 3], text.as_ref().as_bytes()].concat()
}

fn open(folder: &Path, kind: Subject) -> Arc<dyn StateEngine> {
    let (engine, set_aside) = kind.open(&folder.join("state")).unwrap();
    assert!(set_aside.is_empty());
    engine
}

fn with(kind: Subject, test: impl FnOnce(&Arc<dyn StateEngine>)) {
    let folder = tempfile::tempdir().unwrap();
    test(&open(folder.path(), kind));
}

fn put(engine: &dyn StateEngine, pairs: &[(&str, &str)]) {
    let mut batch = Batch::new();
    for (text, value) in pairs {
        batch.put(key(text), value.as_bytes().to_vec());
    }
    engine.write(batch).unwrap();
}

fn text(pairs: &[Pair]) -> Vec<(&str, &str)> {
    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }
    pairs.iter().map(|(key, value)| (text(&key[2..]), text(value))).collect()
}

fn value_is_what_was_put_last(kind: Subject) {
    with(kind, |engine| {
        assert_eq!(engine.kind(), kind.kind());
        assert_eq!(engine.get(&key("key")).unwrap(), None);
        put(&**engine, &[("key", "1")]);
        put(&**engine, &[("key", "2")]);
        assert_eq!(engine.get(&key("key")).unwrap(), Some(Bytes::from_static(b"2")));
        let mut batch = Batch::new();
        batch.delete(key("key"));
        batch.delete(key("never there"));
        engine.write(batch).unwrap();
        assert_eq!(engine.get(&key("key")).unwrap(), None);
        put(&**engine, &[("empty", "")]);
        assert_eq!(engine.get(&key("empty")).unwrap(), Some(Bytes::new()));
        engine.write(Batch::new()).unwrap();
    });
}

fn scan_keeps_to_its_prefix_order_and_limit(kind: Subject) {
    with(kind, |engine| {
        put(&**engine, &[("b3", "3"), ("a", "0"), ("b1", "1"), ("c", "4"), ("b2", "2"), ("b", "b")]);
        let scan = |prefix: &str, after: Option<&str>, limit| {
            let pairs = engine.scan(&key(prefix), after.map(key).as_deref(), limit).unwrap();
            text(&pairs).iter().map(|(key, _)| (*key).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(scan("b", None, 10), ["b", "b1", "b2", "b3"]);
        assert_eq!(scan("b", None, 2), ["b", "b1"]);
        assert_eq!(scan("b", Some("b1"), 10), ["b2", "b3"]);
        assert_eq!(scan("b", Some("b1x"), 1), ["b2"]);
        assert_eq!(scan("b", Some("a"), 1), ["b"]);
        assert_eq!(scan("b", Some("b3"), 10), [""; 0]);
        assert_eq!(scan("b", Some("c"), 10), [""; 0]);
        assert_eq!(scan("", None, 100), ["a", "b", "b1", "b2", "b3", "c"]);
        assert_eq!(scan("b", None, 0), [""; 0]);
        let mut batch = Batch::new();
        batch.put(vec![0xff, 0xff], vec![1]);
        batch.put(vec![0xff, 0xff, 3], vec![2]);
        engine.write(batch).unwrap();
        assert_eq!(engine.scan(&[0xff, 0xff], None, 9).unwrap().len(), 2);
    });
}

fn snapshot_does_not_see_later_batches(kind: Subject) {
    with(kind, |engine| {
        for number in 1..=30 {
            engine.write(model::batch(number)).unwrap();
        }
        let prefix = custodia_store::KeyPrefix::kind(model::group(), custodia_store::KeyKind::Core);
        let mut snapshot = engine.snapshot(prefix.as_bytes()).unwrap();
        let mut pairs = Vec::new();
        let mut number = 30;
        loop {
            let chunk = snapshot.next_chunk(2_000).unwrap();
            if chunk.is_empty() {
                break;
            }
            pairs.extend(chunk);
            for _ in 0..5 {
                number += 1;
                engine.write(model::batch(number)).unwrap();
            }
        }
        assert!(number > 60, "the chunks were too large for the test");
        let expected: Vec<_> =
            model::after(30).into_iter().map(|(key, value)| (key.into_bytes(), value)).collect();
        assert!(pairs == expected);
        assert!(snapshot.next_chunk(1).unwrap().is_empty());
        assert_eq!(model::verify(&**engine), model::Found::Whole(number));
    });
}

fn snapshot_keeps_what_is_deleted_meanwhile(kind: Subject) {
    with(kind, |engine| {
        put(&**engine, &[("a1", "1"), ("a2", "2"), ("a3", "3"), ("a5", "5"), ("b", "other")]);
        let mut snapshot = engine.snapshot(&key("a")).unwrap();
        let first = snapshot.next_chunk(1).unwrap();
        assert_eq!(text(&first), [("a1", "1")]);
        let mut batch = Batch::new();
        for deleted in ["a1", "a2", "a3", "a5"] {
            batch.delete(key(deleted));
        }
        batch.put(key("a4"), &b"new"[..]);
        batch.put(key("a6"), &b"new"[..]);
        engine.write(batch).unwrap();
        put(&**engine, &[("a2", "again"), ("a4", "newer")]);
        let rest = snapshot.next_chunk(1_000).unwrap();
        assert_eq!(text(&rest), [("a2", "2"), ("a3", "3"), ("a5", "5")]);
        assert!(snapshot.next_chunk(1_000).unwrap().is_empty());
    });
}

fn empty_snapshot_ends_at_once(kind: Subject) {
    with(kind, |engine| {
        put(&**engine, &[("b", "1")]);
        let mut snapshot = engine.snapshot(&key("a")).unwrap();
        put(&**engine, &[("a", "later")]);
        assert!(snapshot.next_chunk(10).unwrap().is_empty());
    });
}

/// Every batch sets all keys to one number; a scan, a snapshot or a count that sees two numbers has seen half a batch.
fn batches_are_seen_whole(kind: Subject) {
    const KEYS: u64 = 40;
    // A key's old versions stay in the memtable, and every scan walks over them.
    const WRITES_MAX: u64 = 800;
    with(kind, |engine| {
        let write = |number: u64| {
            let mut batch = Batch::new();
            for put in 0..KEYS {
                batch.put(key(format!("key{put:03}")), number.to_string());
            }
            engine.write(batch).unwrap();
        };
        write(0);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                (1..=WRITES_MAX).take_while(|_| !stop.load(Ordering::Relaxed)).for_each(write);
            });
            for round in 0..60 {
                let pairs = if round % 2 == 0 {
                    engine.scan(&key("key"), None, 1_000).unwrap()
                } else {
                    let mut snapshot = engine.snapshot(&key("key")).unwrap();
                    std::iter::from_fn(|| {
                        Some(snapshot.next_chunk(64).unwrap()).filter(|chunk| !chunk.is_empty())
                    })
                    .flatten()
                    .collect()
                };
                assert_eq!(pairs.len(), 40);
                assert!(pairs.iter().all(|(_, value)| *value == pairs[0].1), "half a batch was seen");
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}

/// Several groups apply at the same time; sled's own concurrent flushes would deadlock from eight on.
fn many_writers_and_flushes_at_once_finish(kind: Subject) {
    with(kind, |engine| {
        thread::scope(|scope| {
            for writer in 0..12 {
                scope.spawn(move || {
                    for number in 0..15 {
                        put(&**engine, &[(&format!("writer{writer:02}-{number:02}"), "value")]);
                        if number % 5 == 0 {
                            engine.flush().unwrap();
                        }
                    }
                });
            }
        });
        assert_eq!(engine.scan(&key("writer"), None, 1_000).unwrap().len(), 12 * 15);
    });
}

#[test]
fn state_is_there_after_reopening() {
    for kind in Subject::ON_DISK {
        reopen_three_times(kind);
    }
}

fn reopen_three_times(kind: Subject) {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let engine = open(folder.path(), kind);
        assert_eq!(model::verify(&*engine), model::Found::Whole(round * 20));
        for number in round * 20 + 1..=round * 20 + 20 {
            engine.write(model::batch(number)).unwrap();
        }
        engine.flush().unwrap();
        assert!(engine.disk_bytes() > 0);
    }
}

macro_rules! conformance {
    ($engine:ident, $kind:expr, $($test:ident)*) => {
        mod $engine {
            $(#[test] fn $test() { use super::*; super::$test($kind); })*
        }
    };
    ($engine:ident, $kind:expr) => {
        conformance! {
            $engine, $kind,
            value_is_what_was_put_last
            scan_keeps_to_its_prefix_order_and_limit
            snapshot_does_not_see_later_batches
            snapshot_keeps_what_is_deleted_meanwhile
            empty_snapshot_ends_at_once
            batches_are_seen_whole
            many_writers_and_flushes_at_once_finish
        }
    };
}

conformance!(fjall, Subject::Engine(Fjall));
conformance!(sled, Subject::Engine(Sled));
conformance!(memory, Subject::Engine(Memory));
conformance!(fjall_partitions, Subject::Partitions(Fjall));
conformance!(sled_partitions, Subject::Partitions(Sled));
