//! The root key file: its permissions, its content, and how a wrong key is reported.

use super::support::{NoRandom, RootFile, epoch, root_text, shard};
use crate::{FileRootKey, RootFileFault, RootKey, RootKeyId, SealError, ShardKey, SystemRandom};

fn id(text: &str) -> RootKeyId {
    text.parse().unwrap()
}

fn content_fault(text: &str) -> RootFileFault {
    let error = RootFile::new(text).open().unwrap_err();
    let SealError::RootKeyFileContent { fault, .. } = error else { panic!("another error: {error}") };
    fault
}

#[test]
fn generated_file_opens_and_wraps() {
    let file = RootFile::new(&FileRootKey::generate(&id("2026-11"), &SystemRandom).unwrap());
    let root = file.open().unwrap();
    assert_eq!(root.current(), id("2026-11"));
    let key = ShardKey::generate(epoch(1), &SystemRandom).unwrap();
    let wrapped = key.wrap(&root, &shard(), &SystemRandom).unwrap();
    assert_eq!(ShardKey::unwrap(&wrapped, &file.open().unwrap(), &shard()).unwrap().epoch(), epoch(1));
}

#[test]
fn two_generated_files_hold_different_keys() {
    let text = || FileRootKey::generate(&id("a"), &SystemRandom).unwrap();
    assert_ne!(*text(), *text());
}

#[test]
fn file_that_others_may_access_is_refused_and_its_mode_named() {
    let file = RootFile::new(&root_text("a", &[("a", 1)]));
    for mode in [0o640, 0o604, 0o660, 0o644, 0o777, 0o610, 0o601] {
        file.set_mode(mode);
        let error = file.open().unwrap_err();
        assert!(matches!(error, SealError::RootKeyFileMode { mode: found, .. } if found == mode), "{error}");
        assert!(error.to_string().contains(&format!("{mode:04o}")), "{error}");
        assert!(error.to_string().contains("0600"), "{error}");
    }
    for mode in [0o600, 0o400] {
        file.set_mode(mode);
        file.open().unwrap();
    }
}

#[test]
fn missing_file_is_its_own_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = FileRootKey::open(&folder.path().join("none")).unwrap_err();
    assert!(matches!(error, SealError::RootKeyFile { .. }), "{error}");
}

#[test]
fn wrong_key_of_the_right_name_is_its_own_error() {
    let right = RootFile::new(&root_text("a", &[("a", 1)]));
    let wrong = RootFile::new(&root_text("a", &[("a", 2)]));
    let other = RootFile::new(&root_text("b", &[("b", 1)]));
    let key = ShardKey::generate(epoch(1), &SystemRandom).unwrap();
    let wrapped = key.wrap(&right.open().unwrap(), &shard(), &SystemRandom).unwrap();
    let error = ShardKey::unwrap(&wrapped, &wrong.open().unwrap(), &shard()).unwrap_err();
    assert!(matches!(&error, SealError::WrongRootKey { id } if id.as_str() == "a"), "{error}");
    let error = ShardKey::unwrap(&wrapped, &other.open().unwrap(), &shard()).unwrap_err();
    assert!(matches!(&error, SealError::UnknownRootKey { id } if id.as_str() == "a"), "{error}");
}

#[test]
fn root_key_is_rotated_by_reloading_the_file_and_older_wrapped_keys_still_open() {
    let file = RootFile::new(&root_text("old", &[("old", 1)]));
    let root = file.open().unwrap();
    let key = ShardKey::generate(epoch(1), &SystemRandom).unwrap();
    let under_old = key.wrap(&root, &shard(), &SystemRandom).unwrap();

    let text = root.text_with_fresh_key(&id("new"), &SystemRandom).unwrap();
    file.write(&text);
    root.reload().unwrap();
    assert_eq!(root.current(), id("old"), "step 1 adds the key and does not use it yet");
    assert_eq!(root.ids(), [id("old"), id("new")]);

    file.write(&text.replace("current = \"old\"", "current = \"new\""));
    root.reload().unwrap();
    let key = ShardKey::unwrap(&under_old, &root, &shard()).unwrap();
    let under_new = key.wrap(&root, &shard(), &SystemRandom).unwrap();
    assert_eq!(under_new.parent(), &crate::Parent::Root(id("new")));
    ShardKey::unwrap(&under_new, &root, &shard()).unwrap();
}

#[test]
fn invalid_file_leaves_the_earlier_keys_in_use() {
    let file = RootFile::new(&root_text("a", &[("a", 1)]));
    let root = file.open().unwrap();
    file.write("current = ");
    root.reload().unwrap_err();
    assert_eq!(root.current(), id("a"));
    file.set_mode(0o644);
    root.reload().unwrap_err();
    let key = ShardKey::generate(epoch(1), &SystemRandom).unwrap();
    key.wrap(&root, &shard(), &SystemRandom).unwrap();
}

#[test]
fn each_fault_of_the_content_has_its_own_error() {
    assert_eq!(content_fault("current = \"a\"\nkeys = []\n"), RootFileFault::Count { keys: 0, max: 32 });
    assert_eq!(content_fault("current = \"a\"\n"), RootFileFault::Count { keys: 0, max: 32 });
    assert_eq!(
        content_fault("current = \"a\"\n[[keys]]\nid = \"a\"\nkey = \"zz\"\n"),
        RootFileFault::KeyText { id: id("a") }
    );
    let twice = root_text("a", &[("a", 1), ("a", 2)]);
    assert_eq!(content_fault(&twice), RootFileFault::Duplicate { id: id("a") });
    assert_eq!(content_fault(&root_text("b", &[("a", 1)])), RootFileFault::NoCurrent { id: id("b") });
    assert_eq!(
        content_fault("current = \"a\"\nsurplus = 1\n"),
        RootFileFault::Syntax { line: Some(2) },
        "an unknown key is refused"
    );
    let many: Vec<(String, u8)> = (0..33).map(|number| (format!("k{number}"), number)).collect();
    let many: Vec<(&str, u8)> = many.iter().map(|(id, byte)| (id.as_str(), *byte)).collect();
    assert_eq!(content_fault(&root_text("k0", &many)), RootFileFault::Count { keys: 33, max: 32 });
    let bad_id = RootFile::new(&root_text("A key", &[("A key", 1)])).open().unwrap_err();
    assert!(matches!(bad_id, SealError::RootKeyIdText { .. }), "{bad_id}");
}

#[test]
fn key_is_64_hexadecimal_digits_of_either_case_and_nothing_else() {
    let file = |digits: &str| format!("current = \"a\"\n[[keys]]\nid = \"a\"\nkey = \"{digits}\"\n");
    let (lower, upper, mixed) = ("a5".repeat(32), "A5".repeat(32), "a5A5".repeat(16));
    let key = ShardKey::generate(epoch(1), &SystemRandom).unwrap();
    let wrapped = key.wrap(&RootFile::new(&file(&lower)).open().unwrap(), &shard(), &SystemRandom).unwrap();
    for digits in [&lower, &upper, &mixed] {
        ShardKey::unwrap(&wrapped, &RootFile::new(&file(digits)).open().unwrap(), &shard()).unwrap();
    }
    let (short, long) = (&lower[..62], format!("{lower}a5"));
    let (spaced, prefixed) = (format!("{} ", &lower[..63]), format!("0x{}", &lower[..62]));
    let (split, foreign) = (format!("{} {}", &lower[..32], &lower[..31]), format!("{}ä", &lower[..62]));
    for digits in ["", short, &lower[..63], &long, &spaced, &prefixed, &split, &foreign, &"g".repeat(64)] {
        assert_eq!(content_fault(&file(digits)), RootFileFault::KeyText { id: id("a") }, "{digits}");
    }
}

#[test]
fn errors_and_debug_never_repeat_key_digits() {
    let digits = "5e".repeat(32);
    let texts = [
        format!("current = \"a\"\n[[keys]]\nid = \"a\"\nkey = \"{digits}00\"\n"),
        format!("current = \"a\"\n[[keys]]\nid = \"a\"\nkey = \"{digits}\n"),
        format!("current = \"a\"\n[[keys]]\nid = \"a\"\nsecret = \"{digits}\"\n"),
        format!("current = \"a\"\n[[keys]]\nid = \"a\"\nkey = {digits}\n"),
    ];
    for text in texts {
        let error = RootFile::new(&text).open().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("5e5e"), "{error:?}");
    }
    let file = RootFile::new(&root_text("a", &[("a", 0x5e)]));
    assert!(!format!("{:?}", file.open().unwrap()).contains("94, 94"));
}

#[test]
fn without_randomness_no_key_is_made() {
    assert!(matches!(FileRootKey::generate(&id("a"), &NoRandom), Err(SealError::Random)));
    assert!(matches!(ShardKey::generate(epoch(1), &NoRandom), Err(SealError::Random)));
}
