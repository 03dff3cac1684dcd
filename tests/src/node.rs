//! One node as a real process: started, killed, stopped, continued, terminated by its process id alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The longest time that anything awaited in a test may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The `custodia` binary of this build, built if it is out of date. `CUSTODIA_BINARY` names another one, so that one bench can
/// measure two builds. The build also names the smallest test: only where a test is built do the dependencies have the
/// features that they have under `cargo test --workspace`, so that nothing but linking is left to do.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(other) = std::env::var_os("CUSTODIA_BINARY") {
            return PathBuf::from(other);
        }
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--locked", "--workspace", "--bin", "custodia", "--test", "tidy"]);
        command.args(["--message-format", "json-render-diagnostics"]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
        messages
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|message| {
                message["target"]["name"] == "custodia" && message["target"]["kind"][0] == "bin"
            })
            .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
            .expect("the build names its executable")
    })
}

/// A free loopback port below the ephemeral range: no outgoing connection can take it while a killed node is down.
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const LAST: u16 = 32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread =
        u16::try_from(u64::from(std::process::id()) * 97 % u64::from(LAST - FIRST)).expect("below the range");
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (spread + step) % (LAST - FIRST);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The node processes of this test process.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn running() -> MutexGuard<'static, BTreeSet<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills the nodes that an abandoned test left behind, also those that stand still.
pub(crate) fn kill_all() {
    for pid in running().iter() {
        send("KILL", *pid);
    }
}

/// Sends a signal; whether it was delivered.
fn send(signal: &str, pid: u32) -> bool {
    Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status().expect("kill runs").success()
}

/// A node's process and folder.
#[derive(Debug)]
pub struct Node {
    /// Its number in the cluster, from 1.
    pub id: u32,
    /// Where it listens: `127.0.0.1:port`.
    pub address: String,
    /// Where other nodes reach it.
    pub(crate) advertised: String,
    /// A hosts file of its own.
    pub(crate) hosts: Option<PathBuf>,
    /// Holds `node.toml`, `node.log` and `data/`.
    pub folder: PathBuf,
    /// The size of a disk in memory for the data folder, to fill it up; the disk goes with the process.
    pub disk_bytes_max: Option<u64>,
    /// Further variables of its environment.
    pub environment: Vec<(&'static str, PathBuf)>,
    child: Option<Child>,
}

impl Node {
    /// A node that is not running yet; its configuration is in place.
    pub fn new(id: u32, address: String, folder: PathBuf) -> Self {
        Self {
            id,
            advertised: address.clone(),
            address,
            hosts: None,
            folder,
            disk_bytes_max: None,
            environment: Vec::new(),
            child: None,
        }
    }

    /// Its configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.folder.join("node.toml")
    }

    /// Its log of all runs.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("node.log")
    }

    /// Its data folder.
    pub fn data_path(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts the process and waits until it listens.
    #[expect(clippy::disallowed_methods, reason = "a blocked thread of the test holds nothing else up")]
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "node {} runs already", self.id);
        let from = fs::metadata(self.log_path()).map_or(0, |metadata| metadata.len());
        self.spawn();
        let deadline = Instant::now() + PATIENCE;
        while !self.log_after(from).iter().any(|line| line.contains("listening")) {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("a child can be asked"));
            assert!(ended.is_none(), "node {} ended: {}", self.id, self.log_after(from).join("\n"));
            assert!(
                Instant::now() < deadline,
                "node {} does not listen: {}",
                self.id,
                self.log_after(from).join("\n")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the process without waiting for anything.
    pub fn spawn(&mut self) {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.log_path()).expect("the log opens");
        let mut command = self.command();
        let child = command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("a node process starts");
        running().insert(child.id());
        self.child = Some(child);
    }

    fn command(&self) -> Command {
        let mut mounts = Vec::new();
        if let Some(bytes) = self.disk_bytes_max {
            fs::create_dir_all(self.data_path()).expect("a mount point");
            mounts.push(format!("mount -t tmpfs -o size={bytes} tmpfs '{}'", self.data_path().display()));
        }
        if let Some(hosts) = &self.hosts {
            mounts.push(format!("mount --bind '{}' /etc/hosts", hosts.display()));
        }
        let mut command = if mounts.is_empty() {
            Command::new(binary())
        } else {
            let script = format!(r#"{} && exec "$@""#, mounts.join(" && "));
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]).arg(binary());
            command
        };
        command.args(["node", "--config"]).arg(self.config_path());
        command
    }

    /// Waits until the process has ended by itself; its exit code.
    #[expect(clippy::disallowed_methods, reason = "a blocked thread of the test holds nothing else up")]
    pub fn wait_for_exit(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        let child = self.child.as_mut().expect("the node was started");
        loop {
            if let Some(status) = child.try_wait().expect("a child can be asked") {
                running().remove(&child.id());
                self.child = None;
                return status.code();
            }
            assert!(Instant::now() < deadline, "node {} does not end", self.id);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The log lines written at or after this byte.
    pub fn log_after(&self, from: u64) -> Vec<String> {
        let Ok(mut file) = fs::File::open(self.log_path()) else { return Vec::new() };
        file.seek(SeekFrom::Start(from)).expect("a log file seeks");
        BufReader::new(file).lines().map_while(Result::ok).collect()
    }

    /// True while the process has not been ended by the test.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// True if the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().expect("a child can be asked").is_some())
    }

    /// SIGKILL, and reaps the process.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            running().remove(&child.id());
            child.kill().expect("an own child can be killed");
            child.wait().expect("an own child can be awaited");
        }
    }

    /// SIGTERM; waits for the drain and returns the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.begin_to_drain();
        self.wait_for_exit()
    }

    /// SIGTERM; the node begins to drain.
    pub fn begin_to_drain(&self) {
        self.signal("TERM");
    }

    /// SIGHUP: the node reads its certificates and tokens again.
    pub fn reload(&self) {
        self.signal("HUP");
    }

    /// SIGSTOP: the process stands still, its connections stay open. The signal is taken by one thread after another, and on
    /// a busy machine a thread may still answer for some milliseconds: the call returns when all of them have stopped.
    #[expect(clippy::disallowed_methods, reason = "a blocked thread of the test holds nothing else up")]
    pub fn pause(&self) {
        self.signal("STOP");
        let deadline = Instant::now() + PATIENCE;
        while !self.stands_still() {
            assert!(Instant::now() < deadline, "node {} does not stop", self.id);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// True when every thread of the process is stopped: proc_pid_stat(5), the state after the name in parentheses.
    fn stands_still(&self) -> bool {
        let pid = self.pid().expect("the node runs");
        let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the node runs");
        threads.filter_map(Result::ok).all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
        })
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// The process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn signal(&self, name: &str) {
        let pid = self.pid().expect("the node runs");
        assert!(send(name, pid), "node {} takes SIG{name}", self.id);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
