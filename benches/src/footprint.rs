//! What a cluster uses: memory of each node, bytes on disk per customer, CPU of idle nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::lookup::one_kilobyte;
use crate::process::{CpuTimes, disk_bytes, resident_bytes};
use crate::start_cluster;

const MIB: u64 = 1 << 20;

pub(crate) async fn measure(customers: usize, engine: &'static str) {
    let sandbox = start_cluster(engine, 16).await;
    let client = sandbox.client();
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let loaders: Vec<_> = (0..64)
        .map(|_| {
            let (client, next) = (client.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                while next.fetch_add(1, Ordering::Relaxed) < customers {
                    client.ingest_profile(one_kilobyte("")).await.expect("an ingest");
                }
            })
        })
        .collect();
    for loader in loaders {
        loader.await.expect("a loader does not panic");
    }
    println!("engine {engine}: {customers} customers of 1 KB in {:.0} s", start.elapsed().as_secs_f64());
    for node in &sandbox.nodes {
        let resident = resident_bytes(node.pid().expect("a running node")) / MIB;
        let (state, log) =
            (disk_bytes(&node.data_path().join("state")), disk_bytes(&node.data_path().join("log")));
        println!(
            "node {}: {resident} MiB resident, state {} MiB = {} bytes per customer, log {} MiB",
            node.id,
            state / MIB,
            state / customers as u64,
            log / MIB
        );
    }
}

pub(crate) async fn idle(shards: u32, time: Duration) {
    let sandbox = start_cluster("fjall", shards).await;
    let nodes: Vec<(u32, u32)> =
        sandbox.nodes.iter().filter_map(|node| Some((node.id, node.pid()?))).collect();
    let before: Vec<CpuTimes> = nodes.iter().map(|&(_, pid)| CpuTimes::of(&[pid])).collect();
    tokio::time::sleep(time).await;
    for (&(node, pid), before) in nodes.iter().zip(&before) {
        let share = CpuTimes::of(&[pid]).since(before).as_secs_f64() / time.as_secs_f64() * 100.0;
        println!(
            "{shards} shards, node {node}: {share:.1} % of a core, {} MiB resident",
            resident_bytes(pid) / MIB
        );
    }
}
