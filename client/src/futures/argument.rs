//! The arguments of a task: values that travel with its call, values that other tasks make, and arrays. How they are
//! written by who submits, and read by who runs.
//!
//! Must not know functions, nor jobs.

use super::array::{self, Whole};
use super::bytes;
use super::error::FutureError;
use super::future::{Future, Shared};
use crate::error::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::sync::Arc;
use tilework_expr::Expr;
use tilework_kernels::Plane;
use tilework_kernels::native::{ValuesCall, once};

/// Bytes of an argument above which it goes to a worker by itself, and not through the scheduler with its call.
const PLAIN_BYTES_MAX: usize = 1 << 20;

/// Marks an argument that follows: its length and bytes.
const PLAIN: u8 = 0;
/// Bytes before those of such an argument.
const PLAIN_HEAD: usize = 5;
/// Marks an argument that is the next of the call's values.
const VALUE: u8 = 1;
/// The bytes of a call whose only argument is a value.
pub(super) const VALUE_ALONE: [u8; 1] = [VALUE];
/// Marks an argument that is a list of the next values: how many.
const LIST: u8 = 2;
/// Marks an argument that is an array, which is the next of the call's values.
const ARRAY: u8 = 3;
/// Marks an array that follows.
const ARRAY_HERE: u8 = 4;

/// Bytes of an argument of all calls of a batch above which it goes to a worker once, and not with each call.
const SHARED_BYTES_MAX: usize = 256;

/// A value that a task gets from elsewhere.
#[derive(Clone)]
pub(super) enum Given {
    /// Of a future.
    Future(Arc<Shared>),
    /// From this process.
    Put(Plane),
    /// The only chunk of an array.
    Array(Expr),
}

/// The arguments of one call as they are written.
#[derive(Default)]
pub struct Written {
    pub(super) params: Vec<u8>,
    pub(super) given: Vec<Given>,
    /// How many arguments were written.
    n: usize,
    /// The last array that was written with the call.
    here: Option<Expr>,
}

impl Written {
    fn cannot(&self, why: String) -> FutureError {
        FutureError::Serialise { what: format!("argument {}", self.n + 1), why }
    }

    fn plain<T: Serialize>(&mut self, value: &T) -> Result<()> {
        let head = self.params.len();
        self.params.extend([PLAIN, 0, 0, 0, 0]);
        debug_assert_eq!(self.params.len(), head + PLAIN_HEAD);
        let from = self.params.len();
        bytes::write(value, &mut self.params).map_err(|why| self.cannot(why))?;
        let len = self.params.len() - from;
        if len > PLAIN_BYTES_MAX {
            let value = bytes::plane(&self.params[from..]).map_err(|why| self.cannot(why))?;
            self.params.truncate(head);
            self.params.push(VALUE);
            self.given.push(Given::Put(value));
        } else {
            self.params[head + 1..from].copy_from_slice(&(len as u32).to_le_bytes());
        }
        self.n += 1;
        Ok(())
    }

    /// An argument that is written by itself becomes a value of this process, where it is not small.
    pub(super) fn put_apart(&mut self) -> Result<()> {
        if self.params.first() == Some(&PLAIN) && self.params.len() > SHARED_BYTES_MAX {
            let value = bytes::plane(&self.params[PLAIN_HEAD..]).map_err(|why| self.cannot(why))?;
            self.params = vec![VALUE];
            self.given = vec![Given::Put(value)];
        }
        if self.params.first() == Some(&ARRAY_HERE)
            && self.params.len() > SHARED_BYTES_MAX
            && let Some(expr) = self.here.take()
        {
            self.params = vec![ARRAY];
            self.given = vec![Given::Array(expr)];
        }
        Ok(())
    }

    pub(super) fn array(&mut self, array: Whole) {
        match array {
            Whole::Here(bytes, expr) => {
                self.params.push(ARRAY_HERE);
                self.params.extend(bytes);
                self.here = Some(expr);
            }
            Whole::Made(expr) => {
                self.params.push(ARRAY);
                self.given.push(Given::Array(expr));
            }
        }
        self.n += 1;
    }

    /// Whether arrays are among the values of the calls.
    pub(super) fn has_arrays(&self) -> bool {
        self.given.iter().any(|given| matches!(given, Given::Array(_)))
    }

    /// Appends arguments that were written before.
    pub(super) fn append(&mut self, arguments: &Written) {
        self.params.extend_from_slice(&arguments.params);
        self.given.extend_from_slice(&arguments.given);
        self.n += arguments.n;
    }

    /// The arguments that follow are those of the next call.
    pub(super) fn end_call(&mut self) {
        self.n = 0;
    }

    fn future(&mut self, future: &Arc<Shared>) {
        self.params.push(VALUE);
        self.given.push(Given::Future(Arc::clone(future)));
        self.n += 1;
    }

    /// The bytes that stand for an argument that is a list of a call's values, of which there are so many.
    pub(super) fn of_list(n: usize) -> Vec<u8> {
        let mut params = vec![LIST];
        params.extend((n as u32).to_le_bytes());
        params
    }

    fn list<'a>(&mut self, futures: impl ExactSizeIterator<Item = &'a Arc<Shared>>) -> Result<()> {
        let n = u32::try_from(futures.len());
        let n = n.map_err(|_| self.cannot("a list of 4 billion values".to_owned()))?;
        self.params.push(LIST);
        self.params.extend(n.to_le_bytes());
        self.given.extend(futures.map(|future| Given::Future(Arc::clone(future))));
        self.n += 1;
        Ok(())
    }
}

/// An argument as it comes.
enum Part<'a> {
    Bytes(&'a [u8]),
    /// The values of a list.
    List(&'a [&'a Plane]),
    Array(Cow<'a, Plane>),
}

/// The arguments of one call as they are read by who runs it.
#[derive(Clone, Copy)]
pub struct Read<'a> {
    params: &'a [u8],
    values: &'a [&'a Plane],
    n: usize,
}

impl<'a> Read<'a> {
    pub(super) fn new(call: &ValuesCall<'a>) -> Read<'a> {
        Read { params: call.params, values: call.values, n: 0 }
    }

    /// The next argument.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> std::result::Result<T, String> {
        self.n += 1;
        let read = self.next_part().and_then(|part| match part {
            Part::Bytes(bytes) => bytes::read(bytes),
            Part::List(values) => {
                let mut list = Vec::new();
                bytes::write_list_head(values.len() as u32, &mut list);
                values.iter().for_each(|value| list.extend(value.contiguous_bytes().unwrap_or(&[])));
                bytes::read(&list)
            }
            Part::Array(plane) => array::of_plane(&plane),
        });
        read.map_err(|why| self.cannot::<T>(&why))
    }

    /// The next argument, which all calls of a batch have. Where it is a value of its own, it is read once for them.
    pub(super) fn shared<T>(&mut self) -> std::result::Result<Arc<std::result::Result<T, String>>, String>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let as_list = self.params.first() == Some(&LIST);
        if !as_list && !matches!(self.params.first(), Some(&(VALUE | ARRAY))) {
            return self.next().map(|value| Arc::new(Ok(value)));
        }
        let before = self.values;
        let mut ahead = *self;
        ahead.skip().map_err(|why| self.cannot::<T>(&why))?;
        let values = &before[..before.len() - ahead.values.len()];
        let read = once(values, as_list, || self.next::<T>());
        *self = ahead;
        Ok(read)
    }

    fn cannot<T>(&self, why: &str) -> String {
        format!("argument {} cannot be read as {}: {why}", self.n, std::any::type_name::<T>())
    }

    /// Goes on to the next argument.
    fn skip(&mut self) -> std::result::Result<(), String> {
        self.n += 1;
        self.next_part().map(drop)
    }

    /// What stands for the next argument.
    fn next_part(&mut self) -> std::result::Result<Part<'a>, String> {
        let (mark, rest) = self.params.split_first().ok_or("it is missing")?;
        self.params = rest;
        match *mark {
            PLAIN => {
                let len = self.number()?;
                let (bytes, rest) = self.params.split_at_checked(len).ok_or("its bytes are missing")?;
                self.params = rest;
                Ok(Part::Bytes(bytes))
            }
            VALUE => {
                let (value, rest) = self.values.split_first().ok_or("its value is missing")?;
                self.values = rest;
                Ok(Part::Bytes(value.contiguous_bytes().unwrap_or(&[])))
            }
            ARRAY => {
                let (value, rest) = self.values.split_first().ok_or("it is missing")?;
                self.values = rest;
                Ok(Part::Array(Cow::Borrowed(value)))
            }
            ARRAY_HERE => {
                let (plane, rest) = array::read(self.params)?;
                self.params = rest;
                Ok(Part::Array(Cow::Owned(plane)))
            }
            LIST => {
                let len = self.number()?;
                let list = self.values.split_at_checked(len).ok_or("some of its values are missing")?;
                self.values = list.1;
                Ok(Part::List(list.0))
            }
            _ => Err("it is of no known kind".into()),
        }
    }

    fn number(&mut self) -> std::result::Result<usize, String> {
        let (number, rest) = self.params.split_first_chunk().ok_or("its length is missing")?;
        self.params = rest;
        Ok(u32::from_le_bytes(*number) as usize)
    }
}

/// What can stand for an argument of type `T` of a task: a value, the future of one, for a list the futures of its values, and
/// for ndarray's array a reference to one of this crate's, lazy or not.
pub trait Argument<T> {
    #[doc(hidden)]
    fn write(self, to: &mut Written) -> Result<()>;
}

impl<T: Serialize + DeserializeOwned> Argument<T> for T {
    fn write(self, to: &mut Written) -> Result<()> {
        to.plain(&self)
    }
}

impl<T> Argument<T> for Future<T> {
    fn write(self, to: &mut Written) -> Result<()> {
        to.future(self.shared());
        Ok(())
    }
}

impl<T> Argument<T> for &Future<T> {
    fn write(self, to: &mut Written) -> Result<()> {
        to.future(self.shared());
        Ok(())
    }
}

impl<T> Argument<Vec<T>> for Vec<Future<T>> {
    fn write(self, to: &mut Written) -> Result<()> {
        to.list(self.iter().map(Future::shared))
    }
}

impl<T> Argument<Vec<T>> for &Vec<Future<T>> {
    fn write(self, to: &mut Written) -> Result<()> {
        to.list(self.iter().map(Future::shared))
    }
}

impl<T> Argument<Vec<T>> for &[Future<T>] {
    fn write(self, to: &mut Written) -> Result<()> {
        to.list(self.iter().map(Future::shared))
    }
}

/// The arguments of a task of types `Ts`: a tuple of one to six.
pub trait Arguments<Ts> {
    #[doc(hidden)]
    fn write(self, to: &mut Written) -> Result<()>;
}

macro_rules! arguments {
    ($(($($a:ident $t:ident $i:tt),+))*) => { $(
        impl<$($a: Argument<$t>, $t),+> Arguments<($($t,)+)> for ($($a,)+) {
            fn write(self, to: &mut Written) -> Result<()> {
                $(self.$i.write(to)?;)+
                Ok(())
            }
        }
    )* };
}
arguments! {
    (A0 T0 0)
    (A0 T0 0, A1 T1 1)
    (A0 T0 0, A1 T1 1, A2 T2 2)
    (A0 T0 0, A1 T1 1, A2 T2 2, A3 T3 3)
    (A0 T0 0, A1 T1 1, A2 T2 2, A3 T3 3, A4 T4 4)
    (A0 T0 0, A1 T1 1, A2 T2 2, A3 T3 3, A4 T4 4, A5 T5 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_not_those_that_were_written_say_so() {
        let mut written = Written::default();
        Arguments::write((7u32, "x".to_owned()), &mut written).unwrap();
        let read = |params: &[u8], values: &[&Plane]| {
            let call = ValuesCall { params, values };
            let mut read = Read::new(&call);
            Ok::<_, String>((read.next::<u32>()?, read.next::<String>()?))
        };
        assert_eq!(read(&written.params, &[]), Ok((7, "x".to_owned())));
        let why = |params: &[u8]| read(params, &[]).unwrap_err();
        assert_eq!(why(&[]), "argument 1 cannot be read as u32: it is missing");
        assert!(why(&written.params[..3]).ends_with("its length is missing"));
        assert!(why(&written.params[..5]).ends_with("its bytes are missing"));
        assert!(why(&written.params[..6]).starts_with("argument 2 cannot be read as alloc::string::String"));
        assert!(why(&[VALUE]).ends_with("its value is missing"));
        assert!(why(&[LIST, 1, 0, 0, 0]).ends_with("some of its values are missing"));
        assert!(why(&[9]).ends_with("no known kind"));
        let mut swapped = Written::default();
        Arguments::write(("x".to_owned(), 7u32), &mut swapped).unwrap();
        assert!(
            why(&swapped.params).starts_with("argument 1 cannot be read as u32: "),
            "{}",
            why(&swapped.params)
        );
    }

    #[test]
    fn what_all_calls_have_is_read_once() {
        let value = |n: u32| {
            let mut bytes = Vec::new();
            bytes::write(&n, &mut bytes).unwrap();
            bytes::plane(&bytes).unwrap()
        };
        let (one, two) = (value(1), value(2));
        let params = [VALUE, LIST, 2, 0, 0, 0, VALUE];
        let read = || {
            let call = ValuesCall { params: &params, values: &[&one, &one, &two, &two] };
            let mut read = Read::new(&call);
            let first = read.shared::<u32>().unwrap();
            let list = read.shared::<Vec<u32>>().unwrap();
            (first, list, read.next::<u32>())
        };
        let ((first, list, last), again) = (read(), read());
        assert_eq!((&*first, &*list, &last), (&Ok(1), &Ok(vec![1, 2]), &Ok(2)));
        assert!(Arc::ptr_eq(&first, &again.0) && Arc::ptr_eq(&list, &again.1));
        // What cannot be read says so each time, and what comes with the call is its own.
        let only_two = [&two];
        let mut wrong = Read::new(&ValuesCall { params: &[VALUE], values: &only_two });
        let why = wrong.shared::<String>().unwrap();
        assert!(why.as_ref().as_ref().unwrap_err().starts_with("argument 1 cannot be read as "), "{why:?}");
        let mut missing = Read::new(&ValuesCall { params: &[LIST, 2, 0, 0, 0], values: &only_two });
        assert!(missing.shared::<Vec<u32>>().unwrap_err().ends_with("some of its values are missing"));
        let mut written = Written::default();
        Arguments::write((7u32,), &mut written).unwrap();
        let mut plain = Read::new(&ValuesCall { params: &written.params, values: &[] });
        assert_eq!(*plain.shared::<u32>().unwrap(), Ok(7));
    }

    #[test]
    fn what_is_large_goes_by_itself() {
        let mut written = Written::default();
        Arguments::write((vec![3u8; PLAIN_BYTES_MAX + 1], 1u8), &mut written).unwrap();
        assert!(written.params.len() < 10);
        let [Given::Put(value)] = &written.given[..] else { panic!("one value") };
        let values = [value];
        let call = ValuesCall { params: &written.params, values: &values };
        let mut read = Read::new(&call);
        assert_eq!(read.next::<Vec<u8>>().unwrap().len(), PLAIN_BYTES_MAX + 1);
        assert_eq!(read.next::<u8>(), Ok(1));
    }
}
