//! Names and places, common ones more often than rare ones.

use super::tables::{
    BEGINNINGS, ENDINGS, FEMALE, MALE, MIDDLES, OTHER_FEMALE, OTHER_MALE, OTHER_SURNAMES, PROVIDERS, REGIONS,
    STREET_KINDS, SURNAMES,
};
use crate::random::{Generator, mix};

const TOWNS: usize = 600;

/// A name, with its form in another script where it has one.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) latin: String,
    pub(super) native: Option<String>,
}

/// Where a household lives.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) street: String,
    pub(super) number: usize,
    pub(super) postal_code: String,
    pub(super) city: String,
    pub(super) region: String,
    town: usize,
}

/// A number below `limit`, small ones more often: the square of a uniform one.
fn skewed(generator: &mut Generator, limit: usize) -> usize {
    generator.below(limit).min(generator.below(limit))
}

impl Name {
    fn latin(text: String) -> Self {
        Self { latin: text, native: None }
    }

    pub(super) fn hyphenated(&self, other: &Self) -> Self {
        Self::latin(format!("{}-{}", self.latin, other.latin))
    }

    /// One of its short forms.
    pub(super) fn short(&self, generator: &mut Generator) -> Option<&'static str> {
        let line = MALE.iter().chain(FEMALE).find(|line| line.split(' ').next() == Some(&self.latin))?;
        let forms: Vec<&str> = line.split(' ').skip(1).collect();
        generator.pick(&forms).copied()
    }
}

fn other(table: &[(&str, &str)], generator: &mut Generator) -> Name {
    let (native, latin) = generator.pick(table).copied().unwrap_or(("", ""));
    Name { latin: latin.to_owned(), native: Some(native.to_owned()) }
}

pub(super) fn given(generator: &mut Generator, female: bool, latin: bool) -> Name {
    if !latin {
        return other(if female { OTHER_FEMALE } else { OTHER_MALE }, generator);
    }
    let table = if female { FEMALE } else { MALE };
    let line = table.get(skewed(generator, table.len())).copied().unwrap_or_default();
    Name::latin(line.split(' ').next().unwrap_or_default().to_owned())
}

pub(super) fn surname(generator: &mut Generator, latin: bool) -> Name {
    if !latin {
        return other(OTHER_SURNAMES, generator);
    }
    if generator.chance(0.35) {
        let common = SURNAMES.get(skewed(generator, SURNAMES.len())).copied().unwrap_or_default();
        return Name::latin(common.to_owned());
    }
    Name::latin(composed(generator))
}

fn composed(generator: &mut Generator) -> String {
    let mut part = |table: &'static [&'static str]| {
        table.get(skewed(generator, table.len())).copied().unwrap_or_default()
    };
    [part(BEGINNINGS), part(MIDDLES), part(ENDINGS)].concat()
}

pub(super) fn provider(generator: &mut Generator) -> &'static str {
    PROVIDERS.get(skewed(generator, PROVIDERS.len())).copied().unwrap_or_default()
}

impl Place {
    pub(super) fn new(generator: &mut Generator) -> Self {
        let town = skewed(generator, TOWNS);
        Self::in_town(town, generator)
    }

    /// Another address: in three of five moves in the same town.
    pub(super) fn moved(&self, generator: &mut Generator) -> Self {
        if generator.chance(0.6) { Self::in_town(self.town, generator) } else { Self::new(generator) }
    }

    fn in_town(town: usize, generator: &mut Generator) -> Self {
        // what belongs to the town is made of its number, so it is the same for all who live there
        let of_town = |salt: u64| Generator::new(mix(salt ^ (town as u64 + 1)));
        let region = of_town(1).below(REGIONS.len());
        let district = generator.below(1 + 20 * (TOWNS - town) / TOWNS);
        let streets = generator.below(60);
        let mut street = Generator::new(mix((town * 100_000 + district * 100 + streets) as u64));
        let kind = street.pick(STREET_KINDS).copied().unwrap_or_default();
        Self {
            street: format!("{} {kind}", composed(&mut street)),
            number: 1 + generator.below(120),
            postal_code: format!("{region:02}{:03}", (of_town(2).below(980) + district) % 1000),
            city: composed(&mut of_town(3)),
            region: REGIONS.get(region).copied().unwrap_or_default().to_owned(),
            town,
        }
    }
}
