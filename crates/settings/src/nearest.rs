//! The word that was probably meant.

/// The known word that is nearest to `word`, if one is near enough to be meant; of equally near ones the first by name.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (edit_distance(word, candidate), candidate))
        // A third of the letters wrong is still a slip; more is another word.
        .filter(|(distance, candidate)| *distance * 3 <= candidate.chars().count().max(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance: fewest letters to insert, delete or replace.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (idx, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[idx + 1];
            row[idx + 1] = replaced.min(row[idx] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["max_attempts", "cooldown_after_action", "scope"];
        assert_eq!(nearest("max_attemps", known), Some("max_attempts"));
        assert_eq!(nearest("cool_down_after_action", known), Some("cooldown_after_action"));
        assert_eq!(nearest("replicas", known), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
