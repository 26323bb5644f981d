//! Shuffles: a function splits each item into parts, and another merges what all of them gave for each part.
//!
//! Both are batches of one job, with an all-to-all edge between them: a value of the first is made of one block for each part.
//! Owns how parts are written, and what can be asked for. Must not know how blocks travel.

use super::argument::{Argument, Given, Written};
use super::bytes;
use super::call::{On, at_once, many};
use super::doors::submits;
use super::error::FutureError;
use super::future::{Future, Place, Shared};
use super::queue::{How, send_shuffle};
use super::task::{Calling, Direct, Giving, kernel};
use super::tasks::Tasks;
use crate::error::{Error, Result};
use crate::session::{Failure, Session, session_for};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tilework_kernels::{BlockWriter, Plane, block_of, n_blocks};
use tilework_plan::JobError;

/// Items of one shuffle.
const ITEMS_MAX: usize = 1 << 17;
/// Parts of one shuffle.
const PARTS_MAX: usize = 1 << 20;
/// Parts of all items of one shuffle together: each has a place in its item's value, and is a request between workers.
const BLOCKS_MAX: usize = 1 << 28;
/// Bytes of items that travel through the scheduler with their calls: what is beyond goes to workers by itself.
const ITEM_BYTES_MAX: usize = 16 << 20;

/// What a function gives is a part for each of some tasks.
pub(super) struct Parts;
/// It is that or an error, which is the task's.
pub(super) struct FallibleParts;

impl<B: Serialize> Giving<Vec<B>> for Parts {
    fn write(given: Vec<B>) -> std::result::Result<Vec<u8>, String> {
        let mut parts = BlockWriter::new(given.len());
        for (i, part) in given.iter().enumerate() {
            let cannot =
                |why| format!("part {i} of its result, {}, cannot be written: {why}", type_name::<B>());
            bytes::write(part, parts.block()).map_err(cannot)?;
            parts.end();
        }
        Ok(parts.finish())
    }
}

impl<B: Serialize, E: Display> Giving<std::result::Result<Vec<B>, E>> for FallibleParts {
    fn write(given: std::result::Result<Vec<B>, E>) -> std::result::Result<Vec<u8>, String> {
        Parts::write(given.map_err(|e| e.to_string())?)
    }
}

/// The part, of `n_parts`, that a key belongs to: the same in every process of the program and in every run, as a random
/// `HashMap`'s hashes are not. Keys are spread evenly, but for equal ones.
///
/// ```
/// assert!(tilework::part_of("rain", 8) < 8);
/// assert_eq!(tilework::part_of("rain", 8), tilework::part_of(&"rain".to_owned(), 8));
/// ```
///
/// # Panics
/// If there are no parts.
#[must_use]
pub fn part_of<K: Hash + ?Sized>(key: &K, n_parts: usize) -> usize {
    assert!(n_parts > 0, "a key belongs to one of 0 parts");
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (hasher.finish() % n_parts as u64) as usize
}

/// The calls that split, as they are written.
struct Splits {
    calls: Written,
    /// Where those of each end.
    ends: Vec<(usize, usize)>,
}

impl Splits {
    fn of<T>(items: impl IntoIterator<Item: Argument<T>>, n_parts: usize) -> Result<Splits> {
        let mut splits = Splits { calls: Written::default(), ends: Vec::new() };
        let mut n = Written::default();
        n_parts.write(&mut n)?;
        for item in items {
            if splits.ends.len() == ITEMS_MAX {
                return Err(asked(
                    "number of items",
                    ITEMS_MAX + 1,
                    "131072 at most, each of which may be many things",
                ));
            }
            let mut call = Written::default();
            item.write(&mut call)?;
            if splits.calls.params.len() > ITEM_BYTES_MAX {
                call.put_apart()?;
            }
            call.append(&n);
            splits.calls.append(&call);
            splits.calls.end_call();
            splits.ends.push((splits.calls.params.len(), splits.calls.given.len()));
        }
        Ok(splits)
    }
}

fn asked(what: &'static str, got: usize, expected: &'static str) -> Error {
    FutureError::Shuffle { what, got, expected }.into()
}

/// Submits a shuffle.
pub(super) fn shuffle<SG, MG, S, M, T, B, R>(
    on: &On,
    (split, merge): (&S, &M),
    items: impl IntoIterator<Item: Argument<T>>,
    n_parts: usize,
) -> Result<Vec<Future<R>>>
where
    Direct: Calling<S, (T, usize)> + Calling<M, (Vec<B>,)>,
    SG: Giving<<Direct as Calling<S, (T, usize)>>::Output>,
    MG: Giving<<Direct as Calling<M, (Vec<B>,)>>::Output>,
    B: Serialize + DeserializeOwned,
{
    if !(1..=PARTS_MAX).contains(&n_parts) {
        return Err(asked("number of parts", n_parts, "1 to 1048576"));
    }
    let splits = Splits::of(items, n_parts)?;
    match splits.ends.len() {
        0 => {
            let nothing = (0..n_parts).map(|_| Vec::<B>::new());
            return many::<Direct, MG, M, (Vec<B>,), R>(on, merge, (nothing, None));
        }
        n if n.saturating_mul(n_parts) > BLOCKS_MAX => {
            let n = n.saturating_mul(n_parts);
            return Err(asked(
                "number of parts of all items",
                n,
                "268435456 at most, or fewer and larger ones",
            ));
        }
        _ => {}
    }
    let split = on.how(kernel::<Direct, SG, S, (T, usize)>(split)?);
    let merge = on.how(kernel::<Direct, MG, M, (Vec<B>,)>(merge)?);
    let made = match on.session() {
        Some(session) => send_shuffle(session, (split, &splits.calls, &splits.ends), (merge, n_parts))?,
        None => shuffle_here(&split, &splits, (&merge, n_parts))?,
    };
    Ok(made.into_iter().map(Future::of).collect())
}

/// Calls both functions on this thread.
fn shuffle_here(split: &How, splits: &Splits, (merge, n_parts): (&How, usize)) -> Result<Vec<Arc<Shared>>> {
    let mut values = Vec::with_capacity(splits.ends.len());
    let mut from = (0, 0);
    for (i, &to) in (0..).zip(&splits.ends) {
        let call = (&splits.calls.params[from.0..to.0], &splits.calls.given[from.1..to.1]);
        let made = at_once(split, i, call)?;
        let value = match &*made.place() {
            Place::Here(value) => (**value).clone().and_then(|value| parts_of(split, i, value, n_parts)),
            _ => unreachable!("what is called at once is here"),
        };
        match value {
            Ok(value) => values.push(value),
            Err(why) => {
                let failed = || Shared::new(None, Place::Here(Box::new(Err(why.clone()))));
                return Ok((0..n_parts).map(|_| failed()).collect());
            }
        }
        from = to;
    }
    let params = Written::of_list(values.len());
    let merged = (0..n_parts as u64).map(|part| {
        let mut given = Vec::with_capacity(values.len());
        for value in &values {
            given.push(Given::Put(block_of(value, part).map_err(|e| no_block(&e))?));
        }
        at_once(merge, part, (&params, &given))
    });
    merged.collect()
}

fn no_block(error: &dyn Display) -> FutureError {
    FutureError::NotSent { why: error.to_string(), cluster: None }
}

/// A value, if it is made of so many parts.
fn parts_of(split: &How, call: u64, value: Plane, n_parts: usize) -> std::result::Result<Plane, Failure> {
    match n_blocks(&value) {
        Ok(n) if n == n_parts as u64 => Ok(value),
        got => {
            let got = got.map_or_else(|e| e.to_string(), |n| format!("{n} parts"));
            let message = format!("{}: it gave {got}, expected {n_parts}", split.in_words());
            Err(Failure::Job(JobError::Operation { operation: "call".into(), chunk: call, message }))
        }
    }
}

impl Session {
    submits! {
        /// A shuffle: `split` is called with each item and the number of parts, and gives as many parts; then `merge` is called
        /// for each part with what the items gave for it, in the items' order. The futures are those of the merged parts, in
        /// their order. An item is a value that serde can write, or the [`Future`] of one.
        ///
        /// What is split stays where it was made, and each part of it goes to the worker that merges the part, and nowhere else.
        /// No part is merged before all items are split. [`part_of`](crate::part_of) says which part a key belongs to.
        ///
        /// ```
        /// use std::collections::BTreeMap;
        /// use tilework::{Session, gather, part_of};
        ///
        /// type Counts = BTreeMap<String, u64>;
        ///
        /// /// The words of a text, each with those that are counted with it.
        /// fn split(text: String, n_parts: usize) -> Vec<Counts> {
        ///     let mut parts = vec![Counts::new(); n_parts];
        ///     for word in text.split_whitespace() {
        ///         *parts[part_of(word, n_parts)].entry(word.to_owned()).or_default() += 1;
        ///     }
        ///     parts
        /// }
        ///
        /// fn merge(parts: Vec<Counts>) -> Counts {
        ///     let mut all = Counts::new();
        ///     for (word, n) in parts.into_iter().flatten() {
        ///         *all.entry(word).or_default() += n;
        ///     }
        ///     all
        /// }
        ///
        /// # fn main() -> tilework::Result<()> {
        /// let session = Session::embedded()?;
        /// let texts = ["to be or", "not to be"].map(str::to_owned);
        /// let counted = session.map_shuffle(split, texts, 4, merge)?;
        /// let all: Counts = gather(&counted)?.into_iter().flatten().collect();
        /// assert_eq!((all["to"], all["be"], all["or"], all["not"]), (2, 2, 1, 1));
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// As [`submit`](Session::submit), [`Error::Cluster`](crate::Error::Cluster) where the cluster is lost, and
        /// [`FutureError::Shuffle`](crate::FutureError::Shuffle) for no parts or too many. Where `split` fails for an item, or gives
        /// another number of parts, all futures have its error.
        map_shuffle(&self,) on On::of(session_for(Some(self))?)
    }

    submits! {
        /// As [`map_shuffle`](Session::map_shuffle), of functions that give what they give or an error, which is the task's.
        ///
        /// ```
        /// let session = tilework::Session::embedded()?;
        /// let parse = |text: String, n: usize| text.parse::<usize>().map(|x| (0..n).map(|part| x * part).collect::<Vec<_>>());
        /// let sum = |all: Vec<usize>| all.into_iter().reduce(|a, b| a + b).ok_or("nothing");
        /// let sums = session.try_map_shuffle(parse, ["1", "10"].map(str::to_owned), 3, sum)?;
        /// assert_eq!(tilework::gather(&sums)?, [0, 11, 22]);
        /// let failed = session.try_map_shuffle(parse, ["1", "ten"].map(str::to_owned), 3, sum)?;
        /// assert!(failed[2].result().unwrap_err().to_string().ends_with("invalid digit found in string"));
        /// # Ok::<(), tilework::Error>(())
        /// ```
        ///
        /// # Errors
        /// As [`map_shuffle`](Session::map_shuffle).
        try_map_shuffle(&self,) on On::of(session_for(Some(self))?)
    }
}

impl Tasks {
    submits! {
        /// [`Session::map_shuffle`] in this way: what is asked for holds for the tasks of both functions.
        ///
        /// # Errors
        /// As there, and [`FutureError::Asked`](crate::FutureError::Asked) for what cannot be asked for.
        map_shuffle(&self,) on self.on()?
    }

    submits! {
        /// [`Session::try_map_shuffle`] in this way.
        ///
        /// # Errors
        /// As [`map_shuffle`](Tasks::map_shuffle).
        try_map_shuffle(&self,) on self.on()?
    }
}
