//! How well and how fast duplicates are found, by `custodia-linkage` alone: no cluster runs.
//!
//! ```text
//! custodia-bench duplicates febrl --dir ../shared/data/febrl               all fields but soc_sec_id
//! custodia-bench duplicates febrl --dir ../shared/data/febrl --with-id     with it
//! custodia-bench duplicates febrl --dir ../shared/data/febrl --fields names
//! custodia-bench duplicates households --people 20000 --seed 7
//! custodia-bench duplicates scan --customers 1000000 --seed 7
//! custodia-bench duplicates csv --file people.csv --field first_name=given-name --field dob=birth-date --truth person
//! ```
//! The model is trained on the records alone, without labels; truth is used only to count. Precision, recall and F1 are
//! of pairs, after clustering. "default" is the model's own threshold, "best" the one of a grid with the greatest F1:
//! the gap says what a better threshold could win. Completeness is the share of true pairs that share a block.
//! The CPU time includes training, blocking, scoring and clustering, but not reading, generating and
//! normalising the records.

mod csv;
mod evaluation;
mod febrl;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use custodia_linkage::population::{Rates, generate};

use evaluation::{Labelled, evaluate, header};

/// Seed of the model's own sampling.
const TRAINING_SEED: u64 = 1;
/// Second records per person in the scan: 5 % of the customers are duplicates.
const SCAN_DUPLICATES: f64 = 0.05;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    set: Set,
}

#[derive(Debug, Subcommand)]
enum Set {
    /// The three FEBRL sets: generated Australians with typing errors, no households.
    Febrl {
        /// Folder with `dataset1.csv` to `dataset3.csv`.
        #[arg(long)]
        dir: PathBuf,
        /// All fields, or names, date of birth and postal code alone.
        #[arg(long, value_enum, default_value_t = Fields::All)]
        fields: Fields,
        /// With the social security number.
        #[arg(long)]
        with_id: bool,
    },
    /// Generated people who live together, move, marry and are misspelled, with the rates of `population::Rates`.
    Households {
        /// People to generate.
        #[arg(long, default_value_t = 20_000)]
        people: u32,
        /// Seed of the people.
        #[arg(long, default_value_t = 7)]
        seed: u64,
    },
    /// The same people with 5 % duplicates, for CPU time and memory.
    Scan {
        /// Customers to generate, duplicates included.
        #[arg(long, default_value_t = 1_000_000)]
        customers: u32,
        /// Seed of the people.
        #[arg(long, default_value_t = 7)]
        seed: u64,
    },
    /// A table of one's own, with or without known truth.
    Csv(csv::Table),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fields {
    All,
    Names,
}

/// Prints the table of one measurement.
pub(crate) fn measure(arguments: &Arguments) {
    println!("{}", header());
    match &arguments.set {
        Set::Febrl { dir, fields, with_id } => {
            for number in 1..=3 {
                let records = febrl::read(&dir.join(format!("dataset{number}.csv")), *fields, *with_id);
                println!("{}", evaluate(&format!("FEBRL {number}"), &records, TRAINING_SEED).row);
            }
        }
        Set::Households { people, seed } => {
            let records = population(*people, *seed, &Rates::default());
            println!("{}", evaluate("households", &records, TRAINING_SEED).row);
        }
        Set::Scan { customers, seed } => {
            let rates = Rates { duplicate: SCAN_DUPLICATES, ..Rates::default() };
            let people = f64::from(*customers) / (1.0 + SCAN_DUPLICATES);
            let records = population(people as u32, *seed, &rates);
            println!("{}", evaluate("scan", &records, TRAINING_SEED).row);
        }
        Set::Csv(table) => {
            let evaluation = evaluate("table", &table.read(), TRAINING_SEED);
            println!("{}", evaluation.row);
            if let Some(path) = &table.clusters {
                let lines: Vec<String> = evaluation.clusters.iter().map(u32::to_string).collect();
                std::fs::write(path, lines.join("\n") + "\n").expect("the clusters can be written");
            }
        }
    }
}

fn population(people: u32, seed: u64, rates: &Rates) -> Labelled {
    let mut records = Labelled::default();
    generate(people, seed, rates, |record| {
        records.add(record.features, record.person, record.household);
    });
    records
}
