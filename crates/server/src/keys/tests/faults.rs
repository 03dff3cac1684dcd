//! A rotation that is cut off after any of its commands: everything stays readable and writable, and whoever leads next
//! ends it.

use custodia_store::KeyKind;

use super::group::{BUCKET, Cluster, Node, Planned, applied, core, customer, everything};
use crate::keys::{KeysError, Rotated};

/// What is rotated.
#[derive(Debug, Clone, Copy)]
enum Level {
    Root,
    Shard,
    Bucket,
    Customer,
}

impl Level {
    async fn rotate(self, node: &Node) -> Result<Rotated, KeysError> {
        match self {
            Self::Root => node.keys.rotate_root().await,
            Self::Shard => node.keys.rotate_shard().await,
            Self::Bucket => node.keys.rotate_bucket(BUCKET).await,
            Self::Customer => node.keys.rotate_customer(customer(0)).await,
        }
    }
}

const EVENTS: u16 = 200;
const CUSTOMERS: u16 = 300;

async fn filled() -> Cluster {
    let cluster = Cluster::new();
    let node = cluster.node();
    node.put_everything(customer(0), EVENTS).await;
    for number in 1..CUSTOMERS {
        node.put(customer(number), &number.to_string()).await;
    }
    cluster.write_root("new", &["old", "new"]);
    cluster
}

fn check_all_readable(node: &Node) {
    for key in everything(customer(0), EVENTS) {
        node.keys.read(&key).unwrap().unwrap();
    }
    for number in (1..CUSTOMERS).step_by(7) {
        assert_eq!(node.core_text(customer(number)), number.to_string());
    }
}

/// Cuts the rotation off at its first, second, … command, until it runs through.
async fn cut_off_everywhere(level: Level, cut: fn() -> Planned) {
    for commands in 0.. {
        let cluster = filled().await;
        let (deposed, next) = (cluster.node(), cluster.node());
        check_all_readable(&deposed);
        let passing = (0..commands).map(|_| Planned::Pass);
        cluster.group.plan(passing.chain([cut()]));
        let outcome = level.rotate(&deposed).await;
        cluster.group.plan([]);
        let cut_off = outcome.is_err();

        check_all_readable(&cluster.node());
        check_all_readable(&next);
        assert!(applied(&next.put(customer(0), "after the cut").await));
        assert!(applied(&next.put(customer(CUSTOMERS), "a new customer").await));

        next.keys.prepare().await.unwrap();
        next.keys.resume_rotations().await.unwrap();
        level.rotate(&next).await.unwrap();
        for kind in [KeyKind::ShardKey, KeyKind::BucketKey, KeyKind::CustomerKey] {
            assert!(
                cluster.group.epochs(kind).iter().all(|epochs| epochs.len() == 1),
                "{level:?} {commands}"
            );
        }
        assert_eq!(cluster.group.entries(KeyKind::ShardKey).len(), 1);
        check_all_readable(&cluster.node());
        check_all_readable(&deposed);
        assert_eq!(deposed.core_text(customer(0)), "after the cut");
        assert_eq!(deposed.core_text(customer(CUSTOMERS)), "a new customer");
        if !cut_off {
            assert!(commands > 0);
            return;
        }
    }
}

#[tokio::test]
async fn root_rotation_cut_off_anywhere_loses_nothing() {
    cut_off_everywhere(Level::Root, || Planned::Lost).await;
    cut_off_everywhere(Level::Root, || Planned::Unknown).await;
}

#[tokio::test]
async fn shard_rotation_cut_off_anywhere_loses_nothing() {
    cut_off_everywhere(Level::Shard, || Planned::Lost).await;
    cut_off_everywhere(Level::Shard, || Planned::Unknown).await;
}

#[tokio::test]
async fn bucket_rotation_cut_off_anywhere_loses_nothing() {
    cut_off_everywhere(Level::Bucket, || Planned::Lost).await;
    cut_off_everywhere(Level::Bucket, || Planned::Unknown).await;
}

#[tokio::test]
async fn customer_rotation_cut_off_anywhere_loses_nothing() {
    cut_off_everywhere(Level::Customer, || Planned::Lost).await;
    cut_off_everywhere(Level::Customer, || Planned::Unknown).await;
}

#[tokio::test]
async fn customer_rotation_that_was_cut_off_is_ended_by_the_next_write_of_the_customer() {
    let cluster = filled().await;
    let (deposed, next) = (cluster.node(), cluster.node());
    cluster.group.plan([Planned::Pass, Planned::Pass, Planned::Lost]);
    deposed.keys.rotate_customer(customer(0)).await.unwrap_err();
    cluster.group.plan([]);
    assert_eq!(cluster.group.epochs(KeyKind::CustomerKey)[0], [2, 1]);
    assert!(applied(&next.put(customer(1), "another customer").await));
    assert_eq!(cluster.group.epochs(KeyKind::CustomerKey)[0], [2, 1]);
    // the write succeeds although the end of the rotation fails, and the next one tries again
    cluster.group.plan([Planned::Lost]);
    assert!(applied(&next.put(customer(0), "first").await));
    assert_eq!(cluster.group.epochs(KeyKind::CustomerKey)[0], [2, 1]);
    assert!(applied(&next.put(customer(0), "second").await));
    assert_eq!(cluster.group.epochs(KeyKind::CustomerKey)[0], [2]);
    for key in everything(customer(0), EVENTS) {
        assert_eq!(cluster.group.sealed_epoch(&key).as_u32(), 2);
    }
    assert_eq!(deposed.core_text(customer(0)), "second");
}

#[tokio::test]
async fn any_command_of_a_deposed_leader_that_comes_after_its_successors_rotation_conflicts() {
    for level in [Level::Root, Level::Shard, Level::Bucket, Level::Customer] {
        for commands in 0.. {
            let cluster = filled().await;
            let (deposed, next) = (cluster.node(), cluster.node());
            cluster.group.plan((0..commands).map(|_| Planned::Pass).chain([Planned::Lost]));
            if level.rotate(&deposed).await.is_ok() {
                break;
            }
            cluster.group.plan([]);
            level.rotate(&next).await.unwrap();
            assert!(!applied(&cluster.group.late()), "{level:?} {commands}");
            check_all_readable(&cluster.node());
        }
    }
}

#[tokio::test]
async fn rotation_by_a_deposed_leader_and_one_by_its_successor_do_not_mix() {
    let cluster = filled().await;
    let (deposed, next) = (cluster.node(), cluster.node());
    // The deposed leader has begun; the successor ends that rotation and makes another one.
    cluster.group.plan([Planned::Pass, Planned::Lost]);
    deposed.keys.rotate_bucket(BUCKET).await.unwrap_err();
    next.keys.rotate_bucket(BUCKET).await.unwrap();
    assert_eq!(cluster.group.epochs(KeyKind::BucketKey), [[3]]);
    // What the deposed one does now starts from the state.
    deposed.keys.rotate_bucket(BUCKET).await.unwrap();
    assert_eq!(cluster.group.epochs(KeyKind::BucketKey), [[4]]);
    check_all_readable(&cluster.node());
    check_all_readable(&next);
}

#[tokio::test]
async fn rotation_that_failed_is_ended_before_the_next_one() {
    let cluster = filled().await;
    let node = cluster.node();
    for planned in
        [vec![Planned::Pass, Planned::Lost], vec![Planned::Lost], vec![Planned::Unknown, Planned::Lost]]
    {
        cluster.group.plan(planned);
        let error = Level::Customer.rotate(&node).await.unwrap_err();
        assert!(matches!(error, KeysError::Consensus(_)), "{error}");
        cluster.group.plan([]);
        assert_eq!(node.core_text(customer(0)), "core");
        assert_eq!(cluster.group.epochs(KeyKind::CustomerKey)[0], [2, 1]);
    }
    let rotated = node.keys.rotate_customer(customer(0)).await.unwrap();
    assert_eq!(rotated.keys, 1);
    assert_eq!(cluster.group.sealed_epoch(&core(customer(0))).as_u32(), 3);
}
