//! Exact top-k by a scan with a running threshold, over scores or item embeddings.

use std::cmp::Ordering;

/// Scores compared at once with the threshold; a block below it costs one branch.
const BLOCK: usize = 64;

/// Candidates held before they are cut back to `k`, in units of `k`.
const SLACK: usize = 4;

/// The `k` highest scores with their indices, best first; equal scores by lower index. Scores that
/// are NaN or negative infinity are never chosen: the latter is how a caller excludes an item.
pub fn top_k(scores: &[f32], k: usize) -> Vec<(u32, f32)> {
    let mut best = Candidates::new(k);
    for (block, values) in scores.chunks(BLOCK).enumerate() {
        best.offer(block * BLOCK, values);
    }
    best.finish()
}

/// The `k` items whose embeddings have the highest dot product with `query`; `items` holds one row
/// of `query.len()` numbers an item. The same rules as [`top_k`].
///
/// # Panics
/// When `items` is not a whole number of rows.
pub fn dot_top_k(query: &[f32], items: &[f32], k: usize) -> Vec<(u32, f32)> {
    if query.is_empty() {
        return Vec::new();
    }
    assert!(items.len().is_multiple_of(query.len()), "items are whole rows");
    let mut best = Candidates::new(k);
    let mut scores = [0.0; BLOCK];
    for (block, rows) in items.chunks(BLOCK * query.len()).enumerate() {
        let rows = rows.chunks_exact(query.len());
        let count = rows.len();
        for (score, row) in scores.iter_mut().zip(rows) {
            *score = dot(query, row);
        }
        best.offer(block * BLOCK, &scores[..count]);
    }
    best.finish()
}

/// Sixteen sums side by side: the shape a compiler turns into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

struct Candidates {
    k: usize,
    threshold: f32,
    held: Vec<(u32, f32)>,
}

impl Candidates {
    fn new(k: usize) -> Self {
        Self { k, threshold: f32::NEG_INFINITY, held: Vec::with_capacity(SLACK * k) }
    }

    fn offer(&mut self, first: usize, scores: &[f32]) {
        let highest = scores.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
        if self.k == 0 || highest <= self.threshold {
            return;
        }
        for (i, &score) in scores.iter().enumerate() {
            if score > self.threshold {
                self.held.push(((first + i) as u32, score));
                if self.held.len() == SLACK * self.k {
                    self.cut();
                }
            }
        }
    }

    fn cut(&mut self) {
        self.held.select_nth_unstable_by(self.k - 1, better);
        self.held.truncate(self.k);
        self.threshold = self.held[self.k - 1].1;
    }

    fn finish(mut self) -> Vec<(u32, f32)> {
        self.held.sort_unstable_by(better);
        self.held.truncate(self.k);
        self.held
    }
}

/// The order of the threshold: zeros of both signs are equal, and no NaN passes it.
fn better(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal).then(a.0.cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(scores: &[f32], k: usize) -> Vec<(u32, f32)> {
        let mut all: Vec<_> = (0..).zip(scores.iter().copied()).collect();
        all.retain(|(_, score)| *score > f32::NEG_INFINITY);
        all.sort_by(better);
        all.truncate(k);
        all
    }

    /// Few distinct values, so that ties are common.
    fn numbers(n: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % 97
        };
        (0..n).map(|_| next() as f32 - 48.0).collect()
    }

    #[test]
    fn equals_a_full_sort() {
        for (seed, n) in [0, 1, 19, 63, 64, 65, 1000, 5003].into_iter().enumerate() {
            let scores = numbers(n, seed as u64);
            for k in [0, 1, 20, 1500] {
                assert_eq!(top_k(&scores, k), sorted(&scores, k), "n {n}, k {k}");
            }
        }
    }

    #[test]
    fn excluded_and_broken_scores_are_never_chosen() {
        let scores = [f32::NEG_INFINITY, 1.0, f32::NAN, -2.0, f32::NEG_INFINITY];
        assert_eq!(top_k(&scores, 5), [(1, 1.0), (3, -2.0)]);
    }

    #[test]
    fn embeddings_are_ranked_by_their_dot_product() {
        for width in [1, 16, 37, 64] {
            let query = numbers(width, 3);
            let items = numbers(700 * width, 4);
            let scores: Vec<f32> = items
                .chunks_exact(width)
                .map(|row| row.iter().zip(&query).map(|(a, b)| a * b).sum())
                .collect();
            // Small whole numbers: every order of summing gives the same float.
            assert_eq!(dot_top_k(&query, &items, 20), sorted(&scores, 20), "width {width}");
        }
    }
}
