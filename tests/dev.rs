//! `custodia dev`: one command is a cluster with customers to look at. It stops as a whole, comes back as a whole,
//! and leaves no process behind, however it ends.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use custodia_tests::{Suite, binary, eventually, free_port};
use tokio::sync::{Mutex, MutexGuard};

fn main() -> ExitCode {
    Suite::default()
        .alone(a_development_cluster_shows_itself_stops_whole_and_comes_back_with_its_data)
        .alone(a_killed_development_cluster_leaves_no_node_behind)
        .alone(a_development_cluster_keeps_what_it_was_asked_for_and_says_what_is_in_its_way)
        .run()
}

/// Two new clusters at one moment would choose the same free ports.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// What `dev` says last when it is up.
const UP: &str = "Ctrl-C stops the cluster";

/// Customers of the sample: enough to look at.
const CUSTOMERS: &str = "24";

/// A development cluster in a folder of its own.
struct Dev {
    child: Option<Child>,
    // dropped after the cluster is killed
    folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Dev {
    async fn new() -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        // a blank in the path: what is to be pasted must still work
        let folder = tempfile::Builder::new().prefix("custodia dev ").tempdir().unwrap();
        Self { child: None, folder, _alone: alone }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    /// Starts a cluster with some customers, waits until it is up; what it printed.
    async fn start(&mut self) -> String {
        self.start_with(&["--customers", CUSTOMERS]).await
    }

    /// `dev` in this folder.
    fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("dev").args(options).arg("--dir").arg(self.root()).stdin(Stdio::null());
        command
    }

    async fn start_with(&mut self, options: &[&str]) -> String {
        let (output, errors) = (self.folder.path().join("output"), self.folder.path().join("errors"));
        let child = self
            .command(options)
            .stdout(fs::File::create(&output).unwrap())
            .stderr(fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        self.child = Some(child);
        eventually("the development cluster is up", async || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "it ended: {}", fs::read_to_string(&errors).unwrap());
            fs::read_to_string(&output).unwrap().contains(UP)
        })
        .await;
        fs::read_to_string(&output).unwrap()
    }

    /// Ctrl-C; waits for the end.
    async fn interrupt(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let mut ended = None;
        eventually("it ends", async || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        })
        .await;
        ended.unwrap()
    }

    /// SIGKILL, without a chance to tidy up.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Process ids of the nodes of this folder, whosever children they are by now.
    fn nodes(&self) -> Vec<u32> {
        let folder = self.root().display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().map_while(Result::ok) {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
            let line = String::from_utf8_lossy(&line).into_owned();
            if line.contains("\0node\0") && line.contains(&folder) {
                found.push(pid);
            }
        }
        found
    }

    fn custodia(&self, arguments: &[&str]) -> String {
        let client = self.root().join("admin.toml");
        let output = Command::new(binary()).arg("--client").arg(client).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a line as a person would who pastes it into a shell, after the line that names the client file.
fn paste(printed: &str, words: &str) -> String {
    let line = |words: &str| {
        let found = printed.lines().find(|line| line.contains(words));
        found.unwrap_or_else(|| panic!("no line with `{words}`: {printed}")).trim().to_owned()
    };
    let script = format!("{}\n{}", line("export CUSTODIA_CLIENT="), line(words));
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The customer whose profile is printed.
fn customer_in(printed: &str) -> String {
    let word = printed.split([' ', ',', '\n']).find(|word| word.starts_with("cust_"));
    word.unwrap_or_else(|| panic!("no customer: {printed}")).to_owned()
}

/// The printed lines from the one that begins with these words up to a blank one.
fn table<'p>(printed: &'p str, header: &str) -> Vec<&'p str> {
    let from = printed.lines().skip_while(|line| !line.starts_with(header));
    from.skip(1).take_while(|line| !line.is_empty()).collect()
}

/// Where the nodes listen, as the configuration in the folder has it.
fn listening(root: &Path) -> Vec<String> {
    let address = |node: u32| {
        let text = fs::read_to_string(root.join(format!("node{node}/node.toml"))).unwrap();
        let config: toml::Table = text.parse().unwrap();
        config["listen"].as_str().unwrap().to_owned()
    };
    (1..=3).map(address).collect()
}

async fn a_development_cluster_shows_itself_stops_whole_and_comes_back_with_its_data() {
    let mut dev = Dev::new().await;
    let printed = dev.start().await;
    assert!(printed.starts_with("What an agent sees when +49"), "the main job comes first: {printed}");
    assert!(printed.contains("16 shards: 16 with a leader, 16 with all replicas"), "{printed}");
    let addresses = listening(&dev.root());
    for address in &addresses {
        assert!(table(&printed, "NODE").iter().any(|row| row.contains(address)), "{address}: {printed}");
    }
    let given = table(&printed, "ATTRIBUTE");
    assert!(given.iter().any(|row| row.starts_with("given_name") && row.contains("contract")), "{printed}");
    assert!(!printed.contains("iban"), "what service has no use for is counted and not named: {printed}");
    assert!(printed.contains("more withheld, of no use for this purpose"), "{printed}");
    assert!(printed.contains(&format!("loaded {CUSTOMERS} sample customers")), "{printed}");

    let customer = customer_in(&printed);
    assert!(paste(&printed, " cluster status").contains("16 with a leader"));
    let calling = paste(&printed, " agent context ");
    assert!(
        table(&printed, "OPEN MATTER").iter().any(|row| row.starts_with("Support case  C-1000")),
        "{printed}"
    );
    let traits = table(&printed, "TRAIT");
    assert!(
        traits.iter().any(|row| row.starts_with("Revenue in a year") && row.contains(" EUR")),
        "{printed}"
    );
    assert!(traits.iter().any(|row| row.starts_with("Days since last contact  1")), "{printed}");
    for words in [customer.as_str(), "last on phone", "CONTACT ON", "KNOWN BY", "OPEN MATTER", "TRAIT"] {
        assert!(calling.contains(words) && printed.contains(words), "{words}: {calling}");
    }
    assert!(paste(&printed, " profile find ").contains(&customer));
    assert!(paste(&printed, " identifier list ").contains("+493023125000"));
    let marketing = paste(&printed, " profile get ");
    assert!(marketing.contains(&customer) && marketing.contains("newsletter_topics"), "{marketing}");
    assert!(paste(&printed, " events list ").contains("sample-0-0"));
    assert!(paste(&printed, " consent list ").contains("marketing"));
    paste(&printed, " consent withdraw ");
    assert!(!table(&paste(&printed, " profile get "), "WITHHELD").is_empty(), "consent is withdrawn");

    let questions: [&[&str]; 3] = [
        &["profile", "get", &customer, "--purpose", "service"],
        &["events", "list", &customer, "--purpose", "service"],
        &["consent", "list", &customer, "--purpose", "privacy-requests"],
    ];
    let before = questions.map(|question| dev.custodia(question));
    assert_eq!(dev.nodes().len(), 3);
    let ended = dev.interrupt().await;
    assert_eq!(ended.code(), Some(0), "{ended}");
    assert_eq!(dev.nodes(), [0; 0], "no node outlives the command");

    let printed = dev.start_with(&[]).await;
    assert!(!printed.contains("sample customers"), "nothing is loaded again: {printed}");
    assert_eq!(customer_in(&printed), customer);
    assert_eq!(listening(&dev.root()), addresses);
    // revisions and the times of the decisions as well: nothing was written in between
    assert_eq!(questions.map(|question| dev.custodia(question)), before);
    assert_eq!(dev.interrupt().await.code(), Some(0));
}

async fn a_killed_development_cluster_leaves_no_node_behind() {
    let mut dev = Dev::new().await;
    let customer = customer_in(&dev.start().await);
    assert_eq!(dev.nodes().len(), 3);
    dev.kill();
    eventually("the nodes end by themselves", async || dev.nodes().is_empty()).await;
    let printed = dev.start().await;
    assert_eq!(customer_in(&printed), customer);
    assert_eq!(dev.interrupt().await.code(), Some(0));
    assert_eq!(dev.nodes(), [0; 0]);
}

async fn a_development_cluster_keeps_what_it_was_asked_for_and_says_what_is_in_its_way() {
    let mut dev = Dev::new().await;
    let refused = |dev: &Dev, options: &[&str]| {
        let output = dev.command(options).output().unwrap();
        assert!(!output.status.success(), "{options:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let port = free_port();
    let (first, taken) = (port.to_string(), TcpListener::bind(("127.0.0.1", port)).unwrap());
    let options: [&str; 6] = ["--nodes", "1", "--port", &first, "--customers", "3"];
    let errors = refused(&dev, &options);
    assert!(errors.contains(&format!("port {first} is in use")) && errors.contains("--port"), "{errors}");
    drop(taken);
    let printed = dev.start_with(&options).await;
    assert!(
        printed.contains("loaded 3 sample customers") && printed.contains(&format!("127.0.0.1:{first}")),
        "{printed}"
    );
    let errors = refused(&dev, &[]);
    assert!(errors.contains("another `custodia dev` is running in"), "{errors}");
    // the terminal is closed
    let mut child = dev.child.take().unwrap();
    assert!(Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap().success());
    eventually("it drains and ends", async || child.try_wait().unwrap().is_some_and(|ended| ended.success()))
        .await;
    assert_eq!(dev.nodes(), [0; 0]);

    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let errors = refused(&dev, &[]);
    assert!(errors.contains("node 1") && errors.contains(&format!("port {first} is in use")), "{errors}");
    drop(taken);
    for other in [["--nodes", "3"], ["--port", "1"]] {
        assert!(refused(&dev, &other).contains("--dir"), "{other:?}");
    }
    let printed = dev.start_with(&[]).await;
    assert!(!printed.contains("sample customers"), "the number is remembered: {printed}");
    assert_eq!(dev.interrupt().await.code(), Some(0));
}
