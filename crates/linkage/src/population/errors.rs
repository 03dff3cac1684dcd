//! How a value gets onto a record: as it is, or with an error of typing, hearing or recognition.

use super::Rates;
use super::names::Name;
use crate::random::Generator;

/// What a sound or a letter is mistaken for.
const SOUNDS: &[(&str, &str)] = &[
    ("ph", "f"),
    ("ck", "k"),
    ("c", "k"),
    ("th", "t"),
    ("ei", "ai"),
    ("ie", "i"),
    ("tz", "z"),
    ("mm", "m"),
    ("nn", "n"),
    ("ll", "l"),
    ("tt", "t"),
    ("y", "i"),
    ("v", "w"),
    ("dt", "d"),
    ("oe", "o"),
    ("x", "ks"),
    ("j", "y"),
    ("ai", "ei"),
    ("z", "s"),
];
const SHAPES: &[(&str, &str)] = &[
    ("m", "rn"),
    ("rn", "m"),
    ("l", "1"),
    ("o", "0"),
    ("i", "l"),
    ("h", "b"),
    ("cl", "d"),
    ("e", "c"),
    ("u", "ii"),
    ("s", "5"),
    ("n", "ri"),
    ("vv", "w"),
];
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

pub(super) struct Spelling<'a> {
    generator: &'a mut Generator,
    rates: &'a Rates,
    share: f64,
}

impl<'a> Spelling<'a> {
    pub(super) fn new(generator: &'a mut Generator, rates: &'a Rates, share: f64) -> Self {
        Self { generator, rates, share }
    }

    /// Whether something happens that is no error.
    pub(super) fn chance_of(&mut self, probability: f64) -> bool {
        self.generator.chance(probability)
    }

    /// Whether an error happens.
    pub(super) fn happens(&mut self, rate: f64) -> bool {
        self.generator.chance(rate * self.share)
    }

    pub(super) fn given_name(&mut self, name: &Name, native: bool) -> String {
        if self.happens(self.rates.nickname)
            && let Some(short) = name.short(self.generator)
        {
            return short.to_owned();
        }
        self.name(name, native)
    }

    pub(super) fn name(&mut self, name: &Name, native: bool) -> String {
        match &name.native {
            Some(text) if native => text.clone(),
            _ => {
                let mut text = name.latin.clone();
                if self.happens(self.rates.phonetic) {
                    text = self.replaced(&text, SOUNDS);
                }
                self.text(&text)
            }
        }
    }

    pub(super) fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        if self.happens(self.rates.recognition) {
            text = self.replaced(&text, SHAPES);
        }
        if self.happens(self.rates.typing) {
            text = self.mistyped(&text, LETTERS);
        }
        text
    }

    pub(super) fn digits(&mut self, text: &str) -> String {
        if self.happens(self.rates.typing) { self.mistyped(text, b"0123456789") } else { text.to_owned() }
    }

    pub(super) fn date(&mut self, year: usize, month: usize, day: usize) -> String {
        let (mut month, mut day) = (month, day);
        if self.happens(self.rates.swapped_date) {
            (month, day) = (day, month);
        }
        if self.happens(self.rates.default_date) {
            (month, day) = (1, 1);
        }
        let date = format!("{year:04}{month:02}{day:02}");
        if !self.happens(self.rates.wrong_digit) {
            return date;
        }
        let at = self.generator.below(date.len());
        let digit = char::from(b"0123456789".get(self.generator.below(10)).copied().unwrap_or(b'0'));
        date.chars().enumerate().map(|(position, old)| if position == at { digit } else { old }).collect()
    }

    /// One of the replacements that the text allows, at its first place.
    fn replaced(&mut self, text: &str, table: &[(&str, &str)]) -> String {
        let lower = text.to_lowercase();
        let possible: Vec<_> = table.iter().filter(|(from, _)| lower.contains(from)).collect();
        match self.generator.pick(&possible) {
            Some((from, to)) => lower.replacen(from, to, 1),
            None => text.to_owned(),
        }
    }

    fn mistyped(&mut self, text: &str, alphabet: &[u8]) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        let at = self.generator.below(letters.len());
        let letter = self.generator.pick(alphabet).map_or('x', |byte| char::from(*byte));
        match self.generator.below(4) {
            0 => letters.insert(at, letter),
            1 if letters.len() > 1 => {
                letters.remove(at);
            }
            2 if at + 1 < letters.len() => letters.swap(at, at + 1),
            _ => {
                if let Some(slot) = letters.get_mut(at) {
                    *slot = letter;
                }
            }
        }
        letters.into_iter().collect()
    }
}
