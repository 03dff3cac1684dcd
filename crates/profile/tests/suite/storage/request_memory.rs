//! The memory of requests: what is found again, what is forgotten.

use custodia_profile::{RequestId, RequestMemory, TimestampMs};

use crate::world::{NOW, at};

fn id(number: u128) -> RequestId {
    format!("{number:032x}").parse().unwrap()
}

#[test]
fn a_retry_within_a_day_gets_the_first_answer() {
    let mut memory = RequestMemory::default();
    memory.remember(id(1), NOW, b"first".to_vec());
    memory.remember(id(1), at(5), b"second".to_vec());
    let day_ms = 24 * 60 * 60 * 1_000;
    let answer = |now: TimestampMs| memory.answer(&id(1), now).map(<[u8]>::to_vec);
    assert_eq!(answer(at(day_ms)), Some(b"first".to_vec()));
    assert_eq!(answer(at(day_ms + 1)), None);
    assert_eq!(memory.answer(&id(2), NOW), None);
}

#[test]
fn the_oldest_beyond_64_requests_are_forgotten() {
    let mut memory = RequestMemory::default();
    for number in 1..=70 {
        memory.remember(id(number), NOW, Vec::new());
    }
    let kept: Vec<_> = memory.requests().iter().map(|request| request.id).collect();
    assert_eq!(kept, (7..=70).map(id).collect::<Vec<_>>());
}

#[test]
fn the_oldest_beyond_the_bytes_are_forgotten_but_never_the_newest() {
    let mut memory = RequestMemory::default();
    for number in 1..=3 {
        memory.remember(id(number), NOW, vec![0; 100 * 1_024]);
    }
    assert_eq!(memory.requests().len(), 2);
    memory.remember(id(4), NOW, vec![0; 1_024 * 1_024]);
    assert_eq!(memory.requests().iter().map(|request| request.id).collect::<Vec<_>>(), [id(4)]);
}

#[test]
fn what_is_older_than_a_day_is_forgotten() {
    let mut memory = RequestMemory::default();
    memory.remember(id(1), NOW, Vec::new());
    memory.remember(id(2), at(25 * 60 * 60 * 1_000), Vec::new());
    assert_eq!(memory.requests().len(), 1);
}
