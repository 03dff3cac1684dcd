//! How alike two normalised texts are. Most pairs that are compared are not alike at all, so a count of common letters
//! decides first whether the Jaro-Winkler similarity can reach its threshold.

/// Jaro-Winkler similarity from which a text counts as misspelled.
const CLOSE: f64 = 0.93;
/// Jaro-Winkler similarity from which a text counts as similar.
const SIMILAR: f64 = 0.86;
/// Shorter texts are never close: one letter of three is another word.
const CLOSE_BYTES_MIN: usize = 4;

/// How alike two different texts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Likeness {
    Different,
    Similar,
    Close,
    Same,
}

pub(crate) fn likeness(left: &str, right: &str) -> Likeness {
    if left == right {
        return Likeness::Same;
    }
    let shortest = left.len().min(right.len());
    if shortest >= CLOSE_BYTES_MIN && within_one_edit(left, right) {
        return Likeness::Close;
    }
    let bound = jaro_winkler_bound(left.as_bytes(), right.as_bytes());
    if shortest < CLOSE_BYTES_MIN - 1 || bound < SIMILAR {
        return Likeness::Different;
    }
    let similarity = strsim::generic_jaro_winkler(&Bytes(left.as_bytes()), &Bytes(right.as_bytes()));
    if similarity >= CLOSE && shortest >= CLOSE_BYTES_MIN {
        Likeness::Close
    } else if similarity >= SIMILAR {
        Likeness::Similar
    } else {
        Likeness::Different
    }
}

/// Whether one inserted, missing, replaced or exchanged pair of neighbouring letters tells two texts apart: an optimal
/// string alignment distance of at most one.
pub(crate) fn within_one_edit(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len().abs_diff(right.len()) > 1 {
        return false;
    }
    let prefix = left.iter().zip(right).take_while(|(one, other)| one == other).count();
    let (left, right) = (left.get(prefix..).unwrap_or_default(), right.get(prefix..).unwrap_or_default());
    let suffix = left.iter().rev().zip(right.iter().rev()).take_while(|(one, other)| one == other).count();
    let left = left.get(..left.len() - suffix).unwrap_or_default();
    let right = right.get(..right.len() - suffix).unwrap_or_default();
    match (left, right) {
        ([] | [_], [] | [_]) => true,
        ([first, second], [third, fourth]) => first == fourth && second == third,
        _ => false,
    }
}

/// No Jaro-Winkler similarity of these texts is greater: a letter that the other text lacks has no match.
fn jaro_winkler_bound(left: &[u8], right: &[u8]) -> f64 {
    let mask = |text: &[u8]| text.iter().fold(0_u64, |mask, byte| mask | 1 << (byte & 63));
    let (left_mask, right_mask) = (mask(left), mask(right));
    let most = |text: &[u8], lacking: u64| text.len() as f64 - f64::from(lacking.count_ones());
    let matches = most(left, left_mask & !right_mask).min(most(right, right_mask & !left_mask));
    if left_mask & right_mask == 0 {
        return 0.0;
    }
    let jaro = (matches / left.len() as f64 + matches / right.len() as f64 + 1.0) / 3.0;
    let prefix = left.iter().zip(right).take(4).take_while(|(one, other)| one == other).count();
    jaro + 0.1 * prefix as f64 * (1.0 - jaro)
}

/// Lets `strsim` iterate over bytes: normalised texts are nearly always ASCII.
struct Bytes<'a>(&'a [u8]);

impl<'b> IntoIterator for &'b Bytes<'_> {
    type Item = u8;
    type IntoIter = std::iter::Copied<std::slice::Iter<'b, u8>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn one_edit_is_the_alignment_distance(left in "[ab]{0,6}", right in "[ab]{0,6}") {
            prop_assert_eq!(within_one_edit(&left, &right), strsim::osa_distance(&left, &right) <= 1);
        }

        #[test]
        fn the_bound_is_never_below_the_similarity(left in "[a-e]{1,8}", right in "[a-e]{1,8}") {
            let exact = strsim::jaro_winkler(&left, &right);
            prop_assert!(jaro_winkler_bound(left.as_bytes(), right.as_bytes()) >= exact - 1e-9);
        }

        #[test]
        fn likeness_is_symmetric(left in "[a-e ]{0,8}", right in "[a-e ]{0,8}") {
            prop_assert_eq!(likeness(&left, &right), likeness(&right, &left));
        }
    }
}
