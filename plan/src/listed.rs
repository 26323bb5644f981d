//! Edges that follow no rule: for each task the results that it reads, one by one, and the other way round.
//!
//! Knows numbers. Must not know what they are numbers of.

/// For each task of a stage the results of another that it reads, and for each result its readers.
#[derive(Clone, PartialEq, Debug)]
pub struct Listed {
    reads: Links,
    readers: Links,
    /// The most readers of one result.
    readers_max: usize,
}

/// Where there are so many times more numbers than pairs, only those that have a list are kept.
const SPARSE: usize = 4;

/// Lists of numbers, one after another.
#[derive(Clone, PartialEq, Debug)]
struct Links {
    /// The numbers that have a list, rising; absent where all have one.
    listed: Option<Vec<usize>>,
    /// Where each list begins, and where the last one ends.
    starts: Vec<usize>,
    numbers: Vec<usize>,
}

impl Links {
    /// The second numbers of pairs, which are in order, for each first number below `n`.
    fn new(pairs: &[(usize, usize)], n: usize) -> Links {
        let numbers = pairs.iter().map(|&(_, to)| to).collect();
        if n / SPARSE > pairs.len() {
            let (mut listed, mut starts) = (Vec::new(), Vec::new());
            for (at, &(from, _)) in pairs.iter().enumerate() {
                if listed.last() != Some(&from) {
                    listed.push(from);
                    starts.push(at);
                }
            }
            starts.push(pairs.len());
            return Links { listed: Some(listed), starts, numbers };
        }
        let mut starts = Vec::with_capacity(n + 1);
        let mut at = 0;
        for i in 0..=n {
            while pairs.get(at).is_some_and(|&(from, _)| from < i) {
                at += 1;
            }
            starts.push(at);
        }
        Links { listed: None, starts, numbers }
    }

    fn of(&self, i: usize) -> &[usize] {
        let place = match &self.listed {
            None => Some(i),
            Some(listed) => listed.binary_search(&i).ok(),
        };
        place.map_or(&[], |i| &self.numbers[self.starts[i]..self.starts[i + 1]])
    }

    fn longest(&self) -> usize {
        self.starts.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0)
    }
}

impl Listed {
    /// The edges of pairs of a task and a result, of so many tasks and results. A pair that comes twice counts once.
    #[must_use]
    pub fn new(mut pairs: Vec<(usize, usize)>, (n_tasks, n_results): (usize, usize)) -> Listed {
        pairs.sort_unstable();
        pairs.dedup();
        let reads = Links::new(&pairs, n_tasks);
        let mut back: Vec<(usize, usize)> = pairs.into_iter().map(|(task, result)| (result, task)).collect();
        back.sort_unstable();
        let readers = Links::new(&back, n_results);
        let readers_max = readers.longest();
        Listed { reads, readers, readers_max }
    }

    /// The results that a task reads, rising.
    #[must_use]
    pub fn reads(&self, task: usize) -> &[usize] {
        self.reads.of(task)
    }

    /// The tasks that read a result, rising.
    #[must_use]
    pub fn readers(&self, result: usize) -> &[usize] {
        self.readers.of(result)
    }

    /// The most readers of one result.
    #[must_use]
    pub fn readers_max(&self) -> usize {
        self.readers_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_agree() {
        let listed = Listed::new(vec![(3, 1), (0, 2), (3, 0), (3, 1), (1, 1)], (5, 3));
        assert_eq!(
            [0, 1, 2, 3, 4].map(|t| listed.reads(t).to_vec()),
            [vec![2], vec![1], vec![], vec![0, 1], vec![]]
        );
        assert_eq!([0, 1, 2].map(|r| listed.readers(r).to_vec()), [vec![3], vec![1, 3], vec![0]]);
        assert_eq!(listed.readers_max(), 2);
    }

    #[test]
    fn few_pairs_of_many_take_little() {
        let pairs = [(7, 900_000), (7, 3), (999_999, 3)];
        let listed = Listed::new(pairs.to_vec(), (1_000_000, 1_000_000));
        let reads = |task: usize| listed.reads(task).to_vec();
        assert_eq!([0, 7, 8, 999_999].map(reads), [vec![], vec![3, 900_000], vec![], vec![3]]);
        let readers = |result: usize| listed.readers(result).to_vec();
        assert_eq!([0, 3, 900_000].map(readers), [vec![], vec![7, 999_999], vec![7]]);
        assert_eq!(listed.readers_max(), 2);
        assert!([&listed.reads, &listed.readers].iter().all(|links| links.starts.len() <= 3));
        assert!(Listed::new(vec![], (5, 5)).reads(4).is_empty());
    }
}
