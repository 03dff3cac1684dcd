//! `custodia import`: everything in a file is loaded once or refused with a reason, whatever interrupts it (IN-1).
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use custodia_proto::v1::{Identifier, ListEventsRequest, LookupProfileRequest};
use custodia_tests::sample::{get, text_of};
use custodia_tests::{Options, Sandbox, Suite, binary, eventually};
use serde_json::Value;
use tonic::Code;

fn main() -> ExitCode {
    Suite::default()
        .alone(what_cannot_be_loaded_is_counted_and_kept_and_all_else_is_loaded)
        .alone(an_event_is_there_once_however_often_its_file_comes)
        .alone(an_import_killed_in_its_middle_goes_on_where_it_stopped)
        .alone(an_import_completes_while_a_node_dies)
        .run()
}

/// Everything is loaded.
const ALL: i32 = 0;
/// Everything is loaded but what is refused.
const PARTLY_REFUSED: i32 = 6;

/// Generated people, in the layout of the FEBRL files; nobody's data.
const PEOPLE: usize = 200;
/// Generated customers of the purchases file, in the layout of CDNOW.
const BUYERS: usize = 60;

/// Three nodes with an empty catalogue.
async fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::prepare(Options::default());
    sandbox.spawn_and_init().await;
    sandbox
}

/// An import: a file with its mapping.
#[derive(Debug)]
struct Import {
    client: PathBuf,
    file: PathBuf,
    mapping: &'static str,
}

impl Import {
    fn new(sandbox: &Sandbox, name: &str, mapping: &'static str, text: &str) -> Self {
        let file = sandbox.path().join(name);
        fs::write(&file, text).unwrap();
        Self { client: sandbox.client_file().into(), file, mapping }
    }

    fn command(&self, options: &[&str]) -> Command {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/examples");
        let mut command = Command::new(binary());
        command.args(["--output", "json", "--client"]).arg(&self.client);
        command.arg("import").arg(&self.file).args(["--purpose", "service", "--source", self.mapping]);
        command.arg("--mapping").arg(examples.join(format!("{}.toml", self.mapping))).arg("--define");
        command.args(options);
        command
    }

    /// Imports; the counts that are printed.
    fn run(&self, options: &[&str], code: i32) -> Value {
        let output = self.command(options).output().unwrap();
        let (text, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{text}{errors}");
        serde_json::from_str(&text).unwrap()
    }

    /// Starts an import that sends one request after the other, so that it has a middle.
    fn start(&self) -> Running {
        let child = self.command(&["--window", "1"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Running(child.unwrap())
    }

    fn state(&self) -> PathBuf {
        PathBuf::from(format!("{}.custodia-import", self.file.display()))
    }

    /// The customer of each of these keys that is known.
    async fn customers(
        &self,
        sandbox: &Sandbox,
        keys: impl Iterator<Item = String>,
    ) -> BTreeMap<String, String> {
        let client = sandbox.client();
        let mut customers = BTreeMap::new();
        for key in keys {
            let identifier = Identifier { namespace: self.mapping.to_owned(), value: key.clone() };
            let request = LookupProfileRequest {
                identifier: Some(identifier),
                purpose: "service".to_owned(),
                ..Default::default()
            };
            match client.lookup_profile(request).await {
                Ok(found) => {
                    let [profile] = found.profiles.as_slice() else { panic!("{key} is several customers") };
                    customers.insert(key, profile.customer_id.clone());
                }
                Err(error) => assert_eq!(error.code(), Code::NotFound, "{error}"),
            }
        }
        customers
    }

    async fn people(&self, sandbox: &Sandbox) -> BTreeMap<String, String> {
        self.customers(sandbox, (0..PEOPLE).map(key_of_person)).await
    }

    async fn buyers(&self, sandbox: &Sandbox) -> BTreeMap<String, String> {
        self.customers(sandbox, buyers().map(key_of_buyer)).await
    }

    fn refused(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.state().join("refused.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Rows that the checkpoint says are done.
    fn rows_done(&self) -> u64 {
        let text = fs::read_to_string(self.state().join("checkpoint.toml")).unwrap();
        let checkpoint: toml::Table = text.parse().unwrap();
        checkpoint["done"]["rows"].as_integer().unwrap().try_into().unwrap()
    }
}

/// An import in a process of its own.
struct Running(Child);

impl Running {
    fn assert_running(&mut self) {
        assert_eq!(self.0.try_wait().unwrap(), None, "the import is still running");
    }

    /// SIGKILL, while it is at work.
    fn kill(mut self) {
        self.assert_running();
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    async fn code(mut self) -> Option<i32> {
        let mut ended = None;
        eventually("the import ends", async || {
            ended = self.0.try_wait().unwrap();
            ended.is_some()
        })
        .await;
        ended.unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // one that has ended is no concern
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until the cluster has applied so many more commands.
async fn progress(sandbox: &Sandbox, commands: u64) {
    let mut goal = None;
    eventually("the import gets on", async || {
        let Ok(shards) = sandbox.shards(0).await else { return false };
        let applied: u64 = shards.iter().map(|shard| shard.applied_index).sum();
        applied >= *goal.get_or_insert(applied + commands)
    })
    .await;
}

/// The values of one person, in the order of the FEBRL columns.
fn person(number: usize) -> Vec<String> {
    let pick = |words: &[&str], step: usize| words[(number / step) % words.len()].to_owned();
    let born = match number {
        // no calendar has these
        17 => "19610231".to_owned(),
        58 => "19561309".to_owned(),
        140 => "19770400".to_owned(),
        _ => format!("{}{:02}{:02}", 1930 + number % 70, 1 + number % 12, 1 + number % 28),
    };
    vec![
        if number == 99 { String::new() } else { key_of_person(number) },
        pick(&["mira", "tomas", "edda", "", "ilja"], 1),
        pick(&["quellfeld", "brantas", "osterle", "wimvane"], 5),
        (1 + number % 90).to_string(),
        pick(&["sample street", "invented road", "model lane"], 3),
        String::new(),
        pick(&["testville", "mockton"], 7),
        (2_000 + number).to_string(),
        pick(&["NSW", "vic", "Qld"], 2),
        born,
        (1_000_000 + number).to_string(),
    ]
}

fn key_of_person(number: usize) -> String {
    format!("rec-{number}-org")
}

/// Values of the file separated by comma and blank, as there. One line is cut off.
fn people() -> String {
    let columns = "rec_id, given_name, surname, street_number, address_1, address_2, suburb, postcode, state, \
                   date_of_birth, soc_sec_id";
    let mut text = format!("{columns}\n");
    for number in 0..PEOPLE {
        let mut values = person(number);
        values.truncate(if number == 120 { 4 } else { values.len() });
        writeln!(text, "{}", values.join(", ")).unwrap();
    }
    text
}

/// Rows of the file, the first being 1, and what of them cannot be loaded and why.
const REFUSED_PEOPLE: [(u64, &str, &str); 5] = [
    (18, "date_of_birth", "not-parsed"),
    (59, "date_of_birth", "not-parsed"),
    (100, "row", "no-key"),
    (121, "row", "unreadable-row"),
    (141, "date_of_birth", "not-parsed"),
];

fn buyers() -> impl Iterator<Item = usize> {
    // What has only zeros is nobody's key.
    1..=BUYERS
}

fn key_of_buyer(number: usize) -> String {
    format!("{number:05}")
}

/// What was bought by one customer: 2 to 6 purchases, some of them on one day.
fn purchases(buyer: usize) -> Vec<String> {
    let row = |place: usize| {
        let (month, day) = (1 + buyer % 12, 1 + place / 2);
        format!("{buyer:05} 1997{month:02}{day:02} {}  {}.{:02}", 1 + place % 3, 10 + place, buyer % 100)
    };
    (0..2 + buyer % 5).map(row).collect()
}

/// Columns separated by one or several blanks.
fn purchases_file() -> String {
    let mut text = " customer_id date number_of_cds dollar_value\n".to_owned();
    for buyer in buyers() {
        for row in purchases(buyer) {
            writeln!(text, " {row}").unwrap();
        }
    }
    text
}

/// Every person of the file is there as the file has them, and nobody twice.
async fn assert_people(sandbox: &Sandbox, import: &Import) {
    let customers = import.people(sandbox).await;
    let expected: BTreeSet<_> =
        (0..PEOPLE).filter(|number| ![99, 120].contains(number)).map(key_of_person).collect();
    assert_eq!(customers.keys().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(customers.values().collect::<BTreeSet<_>>().len(), expected.len(), "one customer a key");
    let client = sandbox.client();
    for number in (0..PEOPLE).filter(|number| ![99, 120].contains(number)) {
        let person = person(number);
        let found = client.get_profile(get(&customers[&person[0]], "service")).await.unwrap();
        let shown = ["given_name", "family_name", "postcode", "state"].map(|name| text_of(&found, name));
        let given_name = (!person[1].is_empty()).then(|| person[1].clone());
        let rest = [&person[2], &person[7], &person[8].to_lowercase()].map(|text| Some(text.clone()));
        assert_eq!(shown, [[given_name].as_slice(), &rest].concat()[..], "{}", person[0]);
        let has_birth_date = found.attributes.iter().any(|one| one.name == "date_of_birth");
        assert_eq!(has_birth_date, ![17, 58, 140].contains(&number), "{}", person[0]);
    }
}

/// Every purchase of the file is there exactly once.
async fn assert_purchases(sandbox: &Sandbox, customers: &BTreeMap<String, String>) {
    assert_eq!(customers.len(), BUYERS);
    let client = sandbox.client();
    for buyer in buyers() {
        let customer_id = customers[&key_of_buyer(buyer)].clone();
        let request = ListEventsRequest { customer_id, purpose: "service".into(), ..Default::default() };
        let answer = client.list_events(request).await.unwrap();
        let mut ids: Vec<_> =
            answer.events.into_iter().map(|stored| stored.event.unwrap().event_id).collect();
        let mut expected = Vec::new();
        for (place, row) in purchases(buyer).iter().enumerate() {
            let date = row.split_whitespace().nth(1).unwrap();
            expected.push(format!("{buyer:05}-{date}-{}", place + 1));
        }
        ids.sort();
        expected.sort();
        assert_eq!(ids, expected);
    }
}

/// The etag of every customer.
async fn etags(sandbox: &Sandbox, customers: &BTreeMap<String, String>) -> Vec<String> {
    let client = sandbox.client();
    let mut etags = Vec::new();
    for customer in customers.values() {
        etags.push(client.get_profile(get(customer, "service")).await.unwrap().etag);
    }
    etags
}

async fn what_cannot_be_loaded_is_counted_and_kept_and_all_else_is_loaded() {
    let sandbox = sandbox().await;
    let import = Import::new(&sandbox, "people.csv", "febrl", &people());
    let counts = import.run(&[], PARTLY_REFUSED);
    assert_eq!((&counts["rows"], &counts["customers_created"]), (&PEOPLE.into(), &(PEOPLE - 2).into()));
    assert_eq!(counts["refused"], serde_json::json!({ "no-key": 1, "not-parsed": 3, "unreadable-row": 1 }));
    // every filled cell but the key, with the constant country, less the three dates
    let whole = (0..PEOPLE).filter(|number| ![99, 120].contains(number)).map(person);
    let values: usize = whole.map(|person| person.iter().filter(|cell| !cell.is_empty()).count()).sum();
    assert_eq!(counts["values_merged"], values - 3);

    let refused = import.refused();
    let told: Vec<_> = refused
        .iter()
        .map(|line| {
            let one = &line["refused"][0];
            (line["row"].as_u64().unwrap(), one["item"].as_str().unwrap(), one["reason"].as_str().unwrap())
        })
        .collect();
    assert_eq!(told, REFUSED_PEOPLE);
    assert_eq!(refused[0]["data"]["date_of_birth"], "19610231", "the row stands with its reason");
    assert_eq!(refused[0]["refused"][0]["explanation"], "not a date in the format %Y%m%d");
    assert_people(&sandbox, &import).await;

    let customers = import.people(&sandbox).await;
    let key = key_of_person(42);
    let mut look_up = Command::new(binary());
    look_up.args(["--output", "json", "--client"]).arg(&import.client).args(["profile", "find"]);
    look_up.arg(format!("febrl={key}")).args(["--purpose", "service"]);
    let output = look_up.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["profiles"][0]["customer_id"], customers[&key], "{found}");

    let before = etags(&sandbox, &customers).await;
    for options in [&[][..], &["--restart"]] {
        let again = import.run(options, PARTLY_REFUSED);
        assert_eq!((&again["rows"], &again["refused"]), (&counts["rows"], &counts["refused"]));
        let created = if options.is_empty() { PEOPLE - 2 } else { 0 };
        assert_eq!((&again["customers_created"], &again["rows_refused"]), (&created.into(), &5.into()));
        assert_eq!(etags(&sandbox, &customers).await, before, "{options:?} changes nothing");
        assert_eq!(import.people(&sandbox).await, customers);
        assert_eq!(import.refused(), refused);
    }
}

async fn an_event_is_there_once_however_often_its_file_comes() {
    let sandbox = sandbox().await;
    let import = Import::new(&sandbox, "purchases.txt", "cdnow", &purchases_file());
    let rows: usize = buyers().map(|buyer| purchases(buyer).len()).sum();
    let counts = import.run(&[], ALL);
    assert_eq!((&counts["rows"], &counts["events_appended"]), (&rows.into(), &rows.into()));
    assert_eq!((&counts["customers_created"], &counts["refused"]), (&BUYERS.into(), &serde_json::json!({})));
    let customers = import.buyers(&sandbox).await;
    assert_purchases(&sandbox, &customers).await;
    import.run(&["--restart"], ALL);
    assert_purchases(&sandbox, &customers).await;
    // under another name and at another time these are other requests; the events still are the same
    let copy = Import::new(&sandbox, "copy.txt", "cdnow", &purchases_file());
    let counts = copy.run(&[], ALL);
    assert_eq!(counts["customers_created"], 0);
    assert_eq!(copy.buyers(&sandbox).await, customers);
    assert_purchases(&sandbox, &customers).await;
}

async fn an_import_killed_in_its_middle_goes_on_where_it_stopped() {
    let sandbox = sandbox().await;
    let people_import = Import::new(&sandbox, "people.csv", "febrl", &people());
    for _ in 0..3 {
        let running = people_import.start();
        progress(&sandbox, 40).await;
        running.kill();
        assert!(people_import.rows_done() < PEOPLE as u64, "this was the middle");
    }
    let counts = people_import.run(&[], PARTLY_REFUSED);
    // a request that is sent again gives the answer of the first time, so the counts are those of one run
    assert_eq!((&counts["rows"], &counts["customers_created"]), (&PEOPLE.into(), &(PEOPLE - 2).into()));
    let refused: Vec<_> = people_import.refused().iter().map(|line| line["row"].as_u64().unwrap()).collect();
    assert_eq!(refused, REFUSED_PEOPLE.map(|(row, _, _)| row));
    assert_people(&sandbox, &people_import).await;

    let purchases_import = Import::new(&sandbox, "purchases.txt", "cdnow", &purchases_file());
    let running = purchases_import.start();
    progress(&sandbox, 20).await;
    running.kill();
    purchases_import.run(&[], ALL);
    assert_purchases(&sandbox, &purchases_import.buyers(&sandbox).await).await;
}

async fn an_import_completes_while_a_node_dies() {
    let mut sandbox = sandbox().await;
    let import = Import::new(&sandbox, "people.csv", "febrl", &people());
    let mut running = import.start();
    progress(&sandbox, 40).await;
    sandbox.nodes[1].kill();
    running.assert_running();
    assert_eq!(running.code().await, Some(PARTLY_REFUSED));
    assert_people(&sandbox, &import).await;
    sandbox.nodes[1].start();
    sandbox.wait_until_healthy().await;
    assert_people(&sandbox, &import).await;
}
