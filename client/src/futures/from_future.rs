//! Arrays that are made of the values of futures, on the workers that have these: what a value is as an array, and the
//! expression that reads it.
//!
//! Must not know how jobs are submitted, nor where values are.

use super::argument::Read;
use super::future::{At, Future, Shared};
use super::queue::given;
use super::task::named;
use crate::array::{Array, plane_of_array, shape_of};
use crate::closures::FunctionError;
use crate::error::{Error, Result, or_panic};
use crate::literal::{Literal, Provider};
use crate::session::{Failure, Session};
use ndarray::{Dimension, ShapeBuilder};
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;
use tilework_expr::{Attachment, Calls, Complex, Element, Expr, Kernel};
use tilework_kernels::native::{Descriptor, Entry, Gives, Takes, ValuesCall, kernel_of};
use tilework_kernels::{Chunk, Plane};
use tilework_plan::Region;

/// What can be an array: ndarray's arrays and this crate's, vectors (of one axis), and elements (of none).
pub trait IntoElements {
    /// The type of its elements.
    type Elem: Element;

    #[doc(hidden)]
    fn into_plane(self) -> Plane;
}

impl<A: Element, D: Dimension> IntoElements for ndarray::Array<A, D> {
    type Elem = A;
    fn into_plane(self) -> Plane {
        plane_of_array(self)
    }
}

impl<A: Element, D: Dimension> IntoElements for Array<A, D> {
    type Elem = A;
    fn into_plane(self) -> Plane {
        plane_of_array(self.into_ndarray())
    }
}

impl<A: Element> IntoElements for Vec<A> {
    type Elem = A;
    fn into_plane(self) -> Plane {
        plane_of_array(ndarray::Array::from_vec(self))
    }
}

macro_rules! elements {
    ($($element:ty)*) => { $(
        impl IntoElements for $element {
            type Elem = $element;
            fn into_plane(self) -> Plane {
                plane_of_array(ndarray::arr0(self))
            }
        }
    )* };
}
elements! { bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 Complex<f32> Complex<f64> }

/// How a value becomes an array, in the executable.
struct Made<T>(PhantomData<T>);

impl<T: IntoElements + DeserializeOwned> Made<T> {
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(&[]), Gives::Dtype(T::Elem::DTYPE));
        // SAFETY: it reads its argument from bytes, whatever they are, and gives a plane of that dtype.
        &unsafe { Descriptor::new(Self::name, types, <[u8]>::is_empty, Entry::Values(Self::made)) }
    };

    fn name() -> &'static str {
        type_name::<T>()
    }

    fn made(call: &ValuesCall<'_>) -> std::result::Result<Plane, String> {
        Ok(Read::new(call).next::<T>()?.into_plane())
    }

    /// Its name. It has one, however often it is asked for.
    fn kernel() -> std::result::Result<Arc<Kernel>, FunctionError> {
        named(Self::DESCRIPTOR, || Ok(kernel_of(Self::DESCRIPTOR, Vec::new(), Vec::new())?))
    }
}

/// What hangs on an expression that reads a value: it stays as long as this lives.
pub(crate) struct HeldValue {
    at: At,
    /// Nobody lets go of the value while there is a handle on it.
    future: Arc<Shared>,
    /// Brings the value where another session reads it.
    literal: Arc<Literal>,
}

impl HeldValue {
    pub(crate) fn is_of(&self, session: &Session) -> bool {
        self.future.session().is_some_and(|own| own.is(session))
    }

    /// What takes its place on another session.
    pub(crate) fn literal(&self) -> &Arc<Literal> {
        &self.literal
    }

    /// Why the workers do not have it any more, where all of its job is lost.
    pub(crate) fn lost(&self) -> Option<Failure> {
        self.at.job.values.ended()
    }
}

/// The value of a future, brought here.
struct Brought(Arc<Shared>);

impl Provider for Brought {
    fn chunk(&self, _: &Region) -> Result<Chunk> {
        Ok(Chunk { planes: vec![self.0.bytes()?.map_err(Error::from)?] })
    }

    fn waits(&self) -> bool {
        true
    }

    fn lends(&self) -> bool {
        true
    }
}

/// The values of a job of which one is that of a future, and which one.
fn values_of(future: &Arc<Shared>) -> Result<(Expr, u64)> {
    let literal = Literal::new(Brought(Arc::clone(future)));
    let at = match future.sent() {
        Ok(at) => at,
        // It is here already, or it never will be.
        Err(bytes) => {
            let value = bytes.map_err(Error::from)?;
            return Ok((given(vec![value])?.0, 0));
        }
    };
    if let Some(why) = at.job.values.failure((at.output, at.value)) {
        return Err(why.into());
    }
    let (job, output, n, value) = (at.job.id().0, at.output as u32, at.job.lens[at.output], at.value);
    let held = HeldValue { at, future: Arc::clone(future), literal: Arc::new(literal) };
    let guard: Attachment = Arc::new(held);
    Ok((Expr::held_values(job, output, n, guard)?, value))
}

impl<A: Element, D: Dimension> Array<A, D> {
    /// The array that a task makes: of a future of ndarray's array, of a vector (of one axis), or of an element (of none). It
    /// is lazy, and in one chunk; the value stays on the workers, and is not brought here. Does not wait.
    ///
    /// The shape is what the value is said to have. Where it has another, whatever reads the array fails with an error that
    /// says both, and names the line of this call. A task that fails fails the arrays that are made of its value. Several
    /// futures become one array by [`try_concatenate`](crate::try_concatenate), [`try_stack`](crate::try_stack) and their like.
    ///
    /// ```
    /// use ndarray::Array2;
    /// use tilework::{Array, Axis, try_concatenate};
    ///
    /// /// Measurements of a day: of three places, four times.
    /// fn day(n: usize) -> Array2<f64> {
    ///     Array2::from_shape_fn((4, 3), |(hour, place)| (n * 100 + hour * 10 + place) as f64)
    /// }
    ///
    /// # fn main() -> tilework::Result<()> {
    /// let session = tilework::Session::embedded()?;
    /// session.make_current();
    /// let days = session.map(day, 0..30)?;
    /// let days: Vec<_> = days.iter().map(|day| Array::from_future(day, (4, 3))).collect();
    /// let month = try_concatenate(Axis(0), &days)?;
    /// assert_eq!(month.shape(), [120, 3]);
    /// assert_eq!(month.mean_axis(Axis(0)).unwrap().compute(), ndarray::array![1465.0, 1466.0, 1467.0]);
    /// # tilework::Session::close_current();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// Where [`try_from_future`](Array::try_from_future) gives an error.
    #[must_use]
    #[track_caller]
    pub fn from_future<T>(future: &Future<T>, shape: impl ShapeBuilder<Dim = D>) -> Self
    where
        T: IntoElements<Elem = A> + DeserializeOwned,
    {
        or_panic(Array::made_of(future, &shape_of(shape), Location::caller()))
    }

    /// As [`from_future`](Array::from_future).
    ///
    /// # Errors
    /// [`FutureError`](crate::FutureError) for a future that was cancelled, and for one that is known to have failed; a shape that is too large.
    #[track_caller]
    pub fn try_from_future<T>(future: &Future<T>, shape: impl ShapeBuilder<Dim = D>) -> Result<Self>
    where
        T: IntoElements<Elem = A> + DeserializeOwned,
    {
        Array::made_of(future, &shape_of(shape), Location::caller())
    }

    fn made_of<T>(future: &Future<T>, shape: &[usize], line: &'static Location<'static>) -> Result<Self>
    where
        T: IntoElements<Elem = A> + DeserializeOwned,
    {
        let kernel = Made::<T>::kernel()?;
        let (values, value) = values_of(future.shared())?;
        let params = super::argument::VALUE_ALONE;
        let calls = Calls {
            kernel,
            params: params.into(),
            ends: Arc::from([params.len() as u64]),
            args: Arc::from([(0, value)]),
            arg_ends: Arc::from([1]),
            line: Some(line.to_string().into()),
            terms: None,
            gives: 0,
            takes: false,
        };
        Array::wrapped(Expr::from_value(calls, &values, shape, A::DTYPE))
    }
}
