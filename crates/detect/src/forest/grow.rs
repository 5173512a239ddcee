//! Growing isolation trees: sampling rows, choosing splits.

use super::chance::Chance;
use super::keys::{GAP, nearest_key, value_of};
use super::tree::ColumnBits;

/// Grows one tree after the other on the same rows. What it needs is allocated once.
pub(super) struct Grower {
    n_columns: usize,
    column_bits: ColumnBits,
    /// Levels of the heap, and levels that may split: fewer in small samples.
    n_levels: usize,
    n_levels_split: usize,
    chance: Chance,
    /// All rows, in an order that drawing samples shuffles.
    rows: Vec<u32>,
    /// Keys of the sample, `[member][column]`: contiguous, since growing visits them some twenty times.
    keys: Vec<u32>,
    /// Rows of `keys`, ordered by the leaf they belong to as the tree grows.
    members: Vec<u16>,
    /// Members that go right, while a branch is divided.
    right: Vec<u16>,
    /// Every column; those that may still split are in front.
    columns: Vec<u16>,
}

/// Where a grown tree is put: the places of one tree, nodes all letting pass, and counts zero.
pub(super) struct Place<'a> {
    pub(super) nodes: &'a mut [u32],
    /// Rows of the sample in each leaf.
    pub(super) counts: &'a mut [u16],
}

/// A branch under way: where it is in the tree, and which of the members and columns are in it.
#[derive(Clone, Copy)]
struct Branch {
    at: usize,
    level: usize,
    from: usize,
    to: usize,
    n_columns: usize,
}

impl Grower {
    /// For `n_rows` rows, to trees of at most `n_sampled` of them.
    pub(super) fn new(shape: Shape, n_rows: usize, chance: Chance) -> Self {
        let Shape { n_columns, column_bits, n_sampled, n_levels } = shape;
        Self {
            n_columns,
            column_bits,
            n_levels,
            n_levels_split: n_sampled.next_power_of_two().ilog2() as usize,
            chance,
            // A matrix of more than 2^32 rows doesn't fit a machine this runs on.
            rows: (0..u32::try_from(n_rows).unwrap_or(u32::MAX)).collect(),
            keys: vec![0; n_sampled * n_columns],
            members: (0..u16::try_from(n_sampled).unwrap_or(u16::MAX)).collect(),
            right: vec![0; n_sampled],
            columns: (0..u16::try_from(n_columns).unwrap_or(u16::MAX)).collect(),
        }
    }

    /// Where chance is now.
    pub(super) fn chance(&self) -> Chance {
        self.chance
    }

    /// Grows a tree from rows drawn without replacement; `fill` writes the keys of a row.
    pub(super) fn grow(&mut self, place: &mut Place<'_>, mut fill: impl FnMut(usize, &mut [u32])) {
        // The front of a Fisher-Yates shuffle; starting from the last one's result is as good as from any order.
        for i in 0..self.members.len() {
            let other = i + self.chance.below(self.rows.len() - i);
            self.rows.swap(i, other);
        }
        // All drawn before any is read: so reads of several rows overlap.
        for (row, keys) in self.rows.iter().zip(self.keys.chunks_exact_mut(self.n_columns)) {
            fill(*row as usize, keys);
        }
        self.split(place, Branch { at: 1, level: 0, from: 0, to: self.members.len(), n_columns: self.n_columns });
    }

    /// Splits a branch until each row is alone, or the lowest level is reached.
    fn split(&mut self, place: &mut Place<'_>, branch: Branch) {
        let Branch { at, level, from, to, .. } = branch;
        let choice = if level < self.n_levels_split && to - from > 1 { self.choose(branch) } else { None };
        let Some(Split { node, n_columns, has_gaps }) = choice else {
            let leaf = (at << (self.n_levels - level)) - (1 << self.n_levels);
            // A sample has at most 4 096 rows.
            place.counts[leaf] = (to - from) as u16;
            return;
        };
        place.nodes[at] = node;
        let middle =
            from + if has_gaps { self.partition_with_gaps(node, from, to) } else { self.partition(node, from, to) };
        let level = level + 1;
        self.split(place, Branch { at: 2 * at, level, from, to: middle, n_columns });
        self.split(place, Branch { at: 2 * at + 1, level, from: middle, to, n_columns });
    }

    /// A column drawn evenly from those whose values differ, and a threshold drawn evenly between them.
    fn choose(&mut self, branch: Branch) -> Option<Split> {
        let mut n_columns = branch.n_columns;
        while n_columns > 0 {
            let drawn = self.chance.below(n_columns);
            let column = self.columns[drawn];
            let (min, max, has_gaps) = self.range(branch, column);
            if min < max {
                let (low, high) = (value_of(min), value_of(max));
                let even = nearest_key(low + self.chance.unit() * (high - low));
                if let Some(node) = self.node_between(min, max, even, column) {
                    return Some(Split { node, n_columns, has_gaps });
                }
            }
            // What is constant here, or too close to tell apart, is so in the whole subtree: out of the front part, for it
            // and all below.
            n_columns -= 1;
            self.columns.swap(drawn, n_columns);
        }
        None
    }

    /// The node of this column nearest to the wanted threshold that has rows on both sides: `min ≤ node < max`.
    fn node_between(&self, min: u32, max: u32, wanted: u32, column: u16) -> Option<u32> {
        let mask = self.column_bits.mask();
        let mut node = (wanted & !mask) | u32::from(column);
        if node < min {
            node += mask + 1;
        }
        if node >= max {
            node = node.checked_sub(mask + 1)?;
        }
        (min <= node && node < max).then_some(node)
    }

    fn key(&self, member: u16, column: usize) -> u32 {
        self.keys[usize::from(member) * self.n_columns + column]
    }

    /// Least and greatest key that are there, `min > max` if none is; and whether there are gaps.
    fn range(&self, branch: Branch, column: u16) -> (u32, u32, bool) {
        let column = usize::from(column);
        let keys = || self.members[branch.from..branch.to].iter().map(|member| self.key(*member, column));
        let (min, max) = keys().fold((GAP, 0), |(min, max), key| (min.min(key), max.max(key)));
        if max < GAP {
            return (min, max, false);
        }
        // The least is right: gaps are beyond every key.
        (min, keys().filter(|key| *key != GAP).max().unwrap_or(0), true)
    }

    /// Members at or below the threshold to the front; returns how many. None has a gap.
    fn partition(&mut self, node: u32, from: usize, to: usize) -> usize {
        let column = (node & self.column_bits.mask()) as usize;
        let (mut n_left, mut n_right) = (0, 0);
        for i in from..to {
            let member = self.members[i];
            let goes_left = self.key(member, column) <= node;
            // Written to both, and counted in one: without a branch, which half of the rows would mispredict.
            self.members[from + n_left] = member;
            self.right[n_right] = member;
            n_left += usize::from(goes_left);
            n_right += usize::from(!goes_left);
        }
        self.members[from + n_left..to].copy_from_slice(&self.right[..n_right]);
        n_left
    }

    /// The same where members have gaps. A row without the value goes with either side by
    /// chance, as likely as the rows that have it.
    fn partition_with_gaps(&mut self, node: u32, from: usize, to: usize) -> usize {
        let column = (node & self.column_bits.mask()) as usize;
        let (mut n_left, mut n_gaps) = (0, 0);
        // Gaps are gathered at the end first.
        let mut end = to;
        let mut i = from;
        while i < end {
            let key = self.key(self.members[i], column);
            if key == GAP {
                end -= 1;
                n_gaps += 1;
                self.members.swap(i, end);
                continue;
            }
            // Without a branch, which half of the rows would mispredict.
            self.members.swap(i, from + n_left);
            n_left += usize::from(key <= node);
            i += 1;
        }
        let share = n_left as f64 / (end - from).max(1) as f64;
        for gap in to - n_gaps..to {
            if self.chance.unit() < share {
                self.members.swap(gap, from + n_left);
                n_left += 1;
            }
        }
        n_left
    }
}

/// What all trees of a forest have in common.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) n_columns: usize,
    pub(super) column_bits: ColumnBits,
    pub(super) n_sampled: usize,
    pub(super) n_levels: usize,
}

/// A chosen split, how many columns may split below it, and whether its column has gaps here.
struct Split {
    node: u32,
    n_columns: usize,
    has_gaps: bool,
}
