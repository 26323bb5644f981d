//! Batches of calls of a function of the user's: one task, and one value, for each call. A value is bytes, of which only
//! those who make and use it know what they mean, and how many there are is known when it is made. Calls may read whole
//! arrays too, which come as one chunk.
//!
//! In a program, values stand as one axis of one chunk each. Knows which call reads which values. Must not know what
//! values are, nor how a function is called.

use crate::dtype::DType;
use crate::error::ExprError;
use crate::graph::{Attachment, Expr};
use crate::kernel::Kernel;
use crate::op::Op;
use crate::program::Node;
use std::ops::Range;
use std::sync::Arc;
use tilework_plan::{AxisGrid, Grid, Listed, Terms};

/// Bytes that a value is taken to have before it is made.
pub const VALUE_BYTES_GUESS: usize = 256;

/// Values of one node, at most.
const VALUES_MAX: usize = 1 << 24;

/// A batch of calls of one function. Each is called with bytes of its own, and with values that others have made.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Calls {
    /// The function. It has no inputs or parameters of its own, and gives bytes.
    pub kernel: Arc<Kernel>,
    /// The bytes that calls are called with, one call after another.
    pub params: Arc<[u8]>,
    /// Where those of each call end: as many as there are calls.
    pub ends: Arc<[u64]>,
    /// The values that calls are called with, in order, one call after another: which input of the node, and which of its
    /// values; of an array, its only chunk.
    pub args: Arc<[(u32, u64)]>,
    /// Where those of each call end: as many as there are calls.
    pub arg_ends: Arc<[u64]>,
    /// The line of the program that submits them, `file:line:column`, where that is known.
    pub line: Option<Arc<str>>,
    /// How they are to be run; in no special way where absent.
    pub terms: Option<Arc<Terms>>,
    /// How many blocks the value of each is made of: one for each of the calls that take them; 0 where a value is one, and
    /// no more than that.
    pub gives: u32,
    /// Whether each of them is called with the block of its own number of every value of the node's inputs, in their order;
    /// no values are listed then.
    pub takes: bool,
}

/// Who makes values.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Values {
    /// The client puts them.
    Client {
        /// The client's name for them.
        id: u64,
    },
    /// They are an output of an earlier job.
    Job {
        /// The job.
        job: u64,
        /// Which of the job's outputs.
        output: u32,
    },
}

/// What of a list is one call's, by where each call's ends.
fn range_of(ends: &[u64], call: usize) -> Range<usize> {
    let start = call.checked_sub(1).map_or(0, |before| ends[before]);
    start as usize..ends[call] as usize
}

impl Calls {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes that one of them is called with.
    ///
    /// # Panics
    /// If there is no such call.
    #[must_use]
    pub fn params_of(&self, call: usize) -> &[u8] {
        &self.params[range_of(&self.ends, call)]
    }

    /// The values that one of them is called with: which input, and which of its values.
    ///
    /// # Panics
    /// If there is no such call.
    #[must_use]
    pub fn args_of(&self, call: usize) -> &[(u32, u64)] {
        &self.args[range_of(&self.arg_ends, call)]
    }

    /// Which call reads which of each input's values, of which there are so many.
    pub(crate) fn reads(&self, n_values: &[usize]) -> Vec<Listed> {
        let mut of_input: Vec<Vec<(usize, usize)>> = vec![Vec::new(); n_values.len()];
        for call in 0..self.len() {
            for &(slot, value) in self.args_of(call) {
                of_input[slot as usize].push((call, value as usize));
            }
        }
        of_input.into_iter().zip(n_values).map(|(pairs, &n)| Listed::new(pairs, (self.len(), n))).collect()
    }

    /// Whether they fit a node of this grid and dtype and what it reads.
    pub(crate) fn check(&self, (grid, dtype): (&Grid, DType), inputs: &[(&Op, &Grid)]) -> Result<(), String> {
        if self.is_empty() || *grid != values_grid(self.len()) || dtype != DType::U8 {
            return Err(format!("{} calls are not one axis of so many values", self.len()));
        }
        self.check_call(DType::U8, inputs)
    }

    /// Whether they are one call, which makes the only chunk of an array of a value.
    pub(crate) fn check_array(
        &self,
        (grid, dtype): (&Grid, DType),
        inputs: &[(&Op, &Grid)],
    ) -> Result<(), String> {
        let of_a_value = matches!(inputs, [(Op::Calls(_) | Op::Values(_), _)]) && self.args.len() == 1;
        if self.gives > 0 {
            return Err("an array is not made of blocks".into());
        }
        if self.len() != 1 || grid.n_chunks() != 1 || !of_a_value {
            let (n, chunks, args) = (self.len(), grid.n_chunks(), self.args.len());
            return Err(format!("{n} calls of {args} values for {chunks} chunks, expected one of each"));
        }
        self.check_call(dtype, inputs)
    }

    /// Whether the function gives this, and what it is called with exists.
    fn check_call(&self, gives: DType, inputs: &[(&Op, &Grid)]) -> Result<(), String> {
        let ends = [("bytes", &self.ends, self.params.len()), ("values", &self.arg_ends, self.args.len())];
        for (what, ends, len) in ends {
            let rising = ends.windows(2).all(|w| w[0] <= w[1]);
            if ends.len() != self.len() || !rising || ends.last().copied().unwrap_or(0) != len as u64 {
                return Err(format!("the {what} of its calls end elsewhere than where they are"));
            }
        }
        if !self.kernel.inputs.is_empty() || !self.kernel.params.is_empty() || self.kernel.output != gives {
            return Err("a function that is not one of values".to_owned());
        }
        let is_read =
            |(op, grid): &(&Op, &Grid)| matches!(op, Op::Calls(_) | Op::Values(_)) || grid.n_chunks() == 1;
        if let Some(other) = inputs.iter().position(|input| !is_read(input)) {
            return Err(format!("input {other} has no values, and is no array in one chunk"));
        }
        if self.takes && (inputs.is_empty() || !self.args.is_empty()) {
            return Err(
                "calls that take blocks are called with those of all their inputs, and nothing else".into()
            );
        }
        let takes = if self.takes { self.len() as u64 } else { 0 };
        for (input, (op, _)) in inputs.iter().enumerate() {
            let gives = if let Op::Calls(calls) = op { u64::from(calls.gives) } else { 0 };
            if gives != takes {
                return Err(format!("input {input} has values of {gives} blocks, expected {takes}"));
            }
        }
        let exists = |&(input, value): &(u32, u64)| {
            let of = inputs.get(input as usize).map(|(_, grid)| grid.n_chunks());
            of.is_some_and(|n| value < n)
        };
        match self.args.iter().find(|arg| !exists(arg)) {
            Some((input, value)) => Err(format!("value {value} of input {input}, which does not exist")),
            None => Ok(()),
        }
    }
}

/// Whether a node is one of values.
pub(crate) fn check_values(node: &Node) -> Result<(), String> {
    let n = node.grid.n_chunks() as usize;
    let fits = (1..=VALUES_MAX).contains(&n) && node.grid == values_grid(n) && node.dtype == DType::U8;
    if fits { Ok(()) } else { Err("values that are not one axis of one each".to_owned()) }
}

/// One axis of so many values.
pub(crate) fn values_grid(n: usize) -> Grid {
    Grid::new(vec![AxisGrid::regular(n, 1)])
}

impl Expr {
    /// The values that calls give.
    ///
    /// # Errors
    /// [`ExprError::Program`] where the calls do not fit what they read.
    pub fn calls(calls: Calls, inputs: &[Expr]) -> Result<Expr, ExprError> {
        let grid = values_grid(calls.len());
        // What they read was checked when it was built.
        let read: Vec<(&Op, &Grid)> = inputs.iter().map(|expr| (expr.op(), expr.grid())).collect();
        let fits = calls.check((&grid, DType::U8), &read);
        fits.map_err(|why| ExprError::Program { node: inputs.len() as u32, why })?;
        Expr::make(Op::Calls(Arc::new(calls)), inputs.to_vec(), grid, DType::U8)
    }

    /// The array of this shape and dtype, in one chunk, that a function makes of a value: the only one that the only call
    /// reads.
    ///
    /// # Errors
    /// [`ExprError::Program`] where the call does not fit what it reads; a shape that is too large.
    pub fn from_value(calls: Calls, values: &Expr, shape: &[usize], dtype: DType) -> Result<Expr, ExprError> {
        let grid = Grid::new(shape.iter().map(|&len| AxisGrid::whole(len)).collect());
        let fits = calls.check_array((&grid, dtype), &[(values.op(), values.grid())]);
        fits.map_err(|why| ExprError::Program { node: 1, why })?;
        Expr::make(Op::FromValue(Arc::new(calls)), vec![values.clone()], grid, dtype)
    }

    /// So many values that the client provides on demand under the name `id`, from what is attached.
    ///
    /// # Errors
    /// Too many values.
    pub fn values(n: usize, id: u64, data: Attachment) -> Result<Expr, ExprError> {
        Expr::source(Op::Values(Values::Client { id }), values_grid(n), DType::U8, data)
    }

    /// The values of an earlier job's output that the cluster still holds, as long as `guard` lives.
    ///
    /// # Errors
    /// Too many values.
    pub fn held_values(job: u64, output: u32, n: usize, guard: Attachment) -> Result<Expr, ExprError> {
        Expr::source(Op::Values(Values::Job { job, output }), values_grid(n), DType::U8, guard)
    }
}
