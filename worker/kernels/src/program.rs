//! Fused programs made ready to run over the blocks of one task: where each value lies, which loop makes it, and the
//! evaluation of one block.
//!
//! Knows values, registers and operands. Must not know what becomes of the result.

use crate::affine::Affine;
use crate::copy::{Layout, copy_box, copy_line};
use crate::feed::KernelError;
use crate::gather::{Operand, Task};
use crate::native::{Elements, Lane};
use crate::ops::{self, BinaryFns, SelectFns, UnaryFn};
use crate::pairs::{Pair, arguments, pairs};
use crate::random::Stream;
use std::ops::Range;
use tilework_expr::{ARGUMENTS_MAX, DType, Def, Fused, Scalar, Value};
use tilework_plan::{Region, region_shape};

/// The most elements of a block: registers of so many stay in the L1 cache.
pub(crate) const BLOCK: usize = 1024;

/// Elements for which all steps are done before the next ones: few, so that the memory of every operand is read at
/// once and not one after another, and intermediate values are still in the L1 cache; enough to pay for the calls.
/// Programs that read no memory are computed a block at a time.
const STRIP: usize = 128;

/// A value of a block or of a strip of it: an array of its elements, or one element for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loc {
    pub ptr: *const u8,
    pub single: bool,
    /// Bytes from one element to the next where the array is the block's; 0 where it is the strip's.
    advance: usize,
}

impl Loc {
    /// One element for all.
    fn single(ptr: *const u8) -> Loc {
        Loc { ptr, single: true, advance: 0 }
    }

    /// The elements of a block, of `size` bytes each.
    fn of_block(ptr: *const u8, size: usize) -> Loc {
        Loc { ptr, single: false, advance: size }
    }

    /// The elements of a strip, or one for all.
    fn of_strip(ptr: *const u8, single: bool) -> Loc {
        Loc { ptr, single, advance: 0 }
    }

    /// Where the strip that begins at element `start` of the block has it.
    fn at(self, start: usize) -> *const u8 {
        self.ptr.wrapping_add(start * self.advance)
    }
}

/// How one value is made: read or made from the position (a whole block at once), or computed from other values (a
/// strip at a time).
enum Step {
    /// Read from memory.
    Load { memory: Memory, register: usize },
    /// One element for all.
    Const(Box<u128>),
    /// The value of an affine function.
    Index { value: Affine, register: usize },
    /// Random elements at the counters that an affine function gives.
    Random { stream: Stream, counter: Affine, register: usize },
    /// A function of one value.
    Unary { f: UnaryFn, a: usize, register: usize },
    /// A function of two values.
    Binary { f: BinaryFns, a: usize, b: usize, register: usize },
    /// A function of two values, one of which is the function of two values of an earlier step that nobody else reads.
    /// `then` is the second function by itself, for where the first one's first argument is one element for all.
    Pair { pair: Box<Pair>, then: BinaryFns, register: usize },
    /// A choice.
    Select { f: SelectFns, c: usize, a: usize, b: usize, register: usize },
    /// A function of the user's.
    Apply { f: Elements, args: Vec<usize>, register: usize },
}

/// An operand over the space of rows and columns.
struct Memory {
    ptr: *const u8,
    at: Affine,
    /// Its number among the operands that are copied before a run, if it is.
    staged: Option<usize>,
}

/// A fused program over the box of one task.
pub(crate) struct Program {
    steps: Vec<Step>,
    sizes: Vec<usize>,
    /// The steps that compute.
    computing: Vec<usize>,
    /// The most elements for which they do so at a time.
    strip: usize,
    n_registers: usize,
    register_bytes: usize,
    /// Bytes of an element of all staged operands together.
    staged_bytes: usize,
    /// Keeps the memory of the operands.
    _operands: Vec<Operand>,
}

// SAFETY: the pointers are into memory that is shared and immutable, kept by `_operands`.
unsafe impl Send for Program {}
// SAFETY: as above.
unsafe impl Sync for Program {}

/// The operands and affine functions of a program over a box, before its axes are arranged.
pub(crate) struct Bound<'a> {
    fused: &'a Fused,
    region: &'a Region,
    /// For each value that is an input, its operand.
    operands: Vec<Option<Operand>>,
}

fn start_of(start: i64, steps: &[i64], region: &Region) -> i64 {
    let terms = steps.iter().zip(region).map(|(s, r)| s.wrapping_mul(r.start as i64));
    terms.fold(start, i64::wrapping_add)
}

impl<'a> Bound<'a> {
    /// Finds the operands of a program over a box that is not empty.
    pub(crate) fn new(
        task: &Task<'_>,
        fused: &'a Fused,
        region: &'a Region,
    ) -> Result<Bound<'a>, KernelError> {
        let operands = fused.values.iter().map(|v| match v.def {
            Def::Input { slot } => task.operand(slot, region).map(Some),
            _ => Ok(None),
        });
        let operands = operands.collect::<Result<_, _>>()?;
        Ok(Bound { fused, region, operands })
    }

    /// The strides of everything that varies over the box.
    pub(crate) fn strides(&self) -> impl Iterator<Item = &[i64]> {
        let of_operands = self.operands.iter().flatten().map(|o| o.strides.as_slice());
        let of_others = self.fused.values.iter().filter_map(|v| match &v.def {
            Def::Index { steps, .. } | Def::Random { steps, .. } => Some(steps.as_slice()),
            _ => None,
        });
        of_operands.chain(of_others)
    }

    /// The program over the box with these axes as rows and those as columns, each in row-major order.
    pub(crate) fn arrange(self, rows: &[usize], cols: &[usize]) -> Result<Program, KernelError> {
        let lens = region_shape(self.region);
        let affine = |base, strides: &[i64]| Affine::new(base, strides, &lens, (rows, cols));
        let pairs = pairs(self.fused);
        let mut read_by: Vec<Option<usize>> = vec![None; pairs.len()];
        for (i, pair) in pairs.iter().enumerate() {
            if let Some(pair) = pair {
                read_by[pair.first] = Some(i);
            }
        }
        let (registers, n_registers) = allocate(self.fused, &read_by);
        let (mut steps, mut staged_bytes, mut n_staged) = (Vec::new(), 0, 0);
        for (i, (value, pair)) in self.fused.values.iter().zip(pairs).enumerate() {
            let register = registers[i];
            let step = match &value.def {
                Def::Input { slot } => {
                    let operand =
                        self.operands[i].as_ref().ok_or_else(|| untyped(value, &format!("input {slot}")))?;
                    if operand.plane.dtype() != value.dtype {
                        return Err(untyped(value, operand.plane.dtype().name()));
                    }
                    let at = affine(0, &operand.strides);
                    let size = value.dtype.size();
                    let staged = at.is_crossed(size).then_some(n_staged);
                    n_staged += usize::from(staged.is_some());
                    staged_bytes += if staged.is_some() { size } else { 0 };
                    Step::Load { memory: Memory { ptr: operand.ptr(), at, staged }, register }
                }
                Def::Index { start, steps } => {
                    Step::Index { value: affine(start_of(*start, steps, self.region), steps), register }
                }
                Def::Random { key, dist, start, steps } => {
                    let stream =
                        Stream::new(*key, *dist, value.dtype).ok_or_else(|| untyped(value, "random"))?;
                    Step::Random {
                        stream,
                        counter: affine(start_of(*start, steps, self.region), steps),
                        register,
                    }
                }
                _ => compute(self.fused, value, register)?,
            };
            let step = match (step, pair) {
                (Step::Binary { f: then, .. }, Some(pair)) => {
                    Step::Pair { pair: Box::new(pair), then, register }
                }
                (step, _) => step,
            };
            steps.push(step);
        }
        let sizes: Vec<usize> = self.fused.values.iter().map(|v| v.dtype.size()).collect();
        let register_bytes = BLOCK * sizes.iter().copied().max().unwrap_or(1);
        let operands = self.operands.into_iter().flatten().collect();
        let computes = |&i: &usize| steps[i].computes() && read_by[i].is_none();
        let computing = (0..steps.len()).filter(computes).collect();
        let reads = steps.iter().any(|s| matches!(s, Step::Load { .. }));
        Ok(Program {
            strip: if reads { STRIP } else { BLOCK },
            steps,
            sizes,
            computing,
            n_registers,
            register_bytes,
            staged_bytes,
            _operands: operands,
        })
    }
}

fn untyped(value: &Value, got: &str) -> KernelError {
    KernelError::Operation(format!(
        "a value of {} does not fit its definition {:?} ({got})",
        value.dtype, value.def
    ))
}

/// The step of a value that is computed from others or is a constant.
fn compute(fused: &Fused, value: &Value, register: usize) -> Result<Step, KernelError> {
    let d = |v: tilework_expr::ValueIdx| fused.value(v).dtype;
    let wrong = |got: DType| untyped(value, got.name());
    Ok(match &value.def {
        Def::Const(s) if s.dtype() == value.dtype => Step::Const(Box::new(Scalar::bits(*s))),
        Def::Unary(op, a) => {
            let f = ops::unary(*op, d(*a)).filter(|_| op.result(d(*a)) == Some(value.dtype));
            Step::Unary { f: f.ok_or_else(|| wrong(d(*a)))?, a: a.0 as usize, register }
        }
        Def::Binary(op, a, b) => {
            let typed = op.result(d(*a)) == Some(value.dtype) && d(*a) == d(*b);
            let f = ops::binary(*op, d(*a)).filter(|_| typed);
            Step::Binary { f: f.ok_or_else(|| wrong(d(*b)))?, a: a.0 as usize, b: b.0 as usize, register }
        }
        Def::Apply(kernel, args) => {
            let typed = args.iter().map(|a| d(*a)).eq(kernel.inputs.iter().copied());
            if !typed || kernel.output != value.dtype {
                return Err(untyped(value, "a function of other dtypes"));
            }
            let args = args.iter().map(|a| a.0 as usize).collect();
            Step::Apply { f: Elements::of(kernel)?, args, register }
        }
        Def::Cast(a) => Step::Unary { f: ops::cast(d(*a), value.dtype), a: a.0 as usize, register },
        Def::Select(c, a, b) if d(*c) == DType::Bool && d(*a) == value.dtype && d(*b) == value.dtype => {
            let f = ops::select(value.dtype);
            Step::Select { f, c: c.0 as usize, a: a.0 as usize, b: b.0 as usize, register }
        }
        _ => return Err(untyped(value, "another dtype")),
    })
}

impl Step {
    /// Whether it is computed from other values.
    fn computes(&self) -> bool {
        !matches!(self, Step::Load { .. } | Step::Const(_) | Step::Index { .. } | Step::Random { .. })
    }
}

/// A register for each value, such that no two values that are needed at the same time share one. What is not
/// computed is needed by all strips of a block, and the last value is what all of them leave. `read_by` names, for a
/// value that is computed in one loop with its reader, that reader.
fn allocate(fused: &Fused, read_by: &[Option<usize>]) -> (Vec<usize>, usize) {
    let n = fused.values.len();
    let stays = |d: &Def| matches!(d, Def::Input { .. } | Def::Index { .. } | Def::Random { .. });
    let mut last: Vec<usize> =
        fused.values.iter().enumerate().map(|(i, v)| if stays(&v.def) { n } else { i }).collect();
    for (i, value) in fused.values.iter().enumerate().rev() {
        let until = match &value.def {
            // A choice by one condition for all is the chosen argument itself, which must live as long.
            Def::Select(..) => last[i],
            _ => read_by[i].unwrap_or(i),
        };
        for v in arguments(&value.def) {
            last[v.0 as usize] = last[v.0 as usize].max(until);
        }
    }
    let mut ends: Vec<Vec<usize>> = vec![Vec::new(); n];
    (0..n.saturating_sub(1)).filter(|&v| last[v] < n).for_each(|v| ends[last[v]].push(v));
    let (mut free, mut n_registers, mut registers) = (Vec::new(), 0, vec![0; n]);
    for i in 0..n {
        // What is not computed is there before anything is.
        let shares = i + 1 < n && !stays(&fused.values[i].def);
        let reused = if shares { free.pop() } else { None };
        registers[i] = reused.unwrap_or_else(|| {
            n_registers += 1;
            n_registers - 1
        });
        // Freed after this value has its own, so that no loop writes over what it reads.
        free.extend(ends[i].iter().map(|&v| registers[v]));
    }
    (registers, n_registers)
}

impl Program {
    /// Bytes of scratch memory for runs of at most `elements`.
    pub(crate) fn scratch_bytes(&self, elements: usize) -> usize {
        self.n_registers * self.register_bytes + self.staged_bytes * elements + 64 * self.steps.len()
    }

    /// Bytes of an element of the result.
    pub(crate) fn result_size(&self) -> usize {
        self.sizes[self.sizes.len() - 1]
    }

    /// Whether some operand is copied before a run, so that long rows call for longer runs.
    pub(crate) fn is_staged(&self) -> bool {
        self.staged_bytes > 0
    }

    /// Makes ready for blocks within these rows and columns.
    ///
    /// # Safety
    /// `scratch` is aligned to 64 bytes and has [`Program::scratch_bytes`] for so many elements, which nobody else
    /// uses while the run lives.
    pub(crate) unsafe fn run(&self, rows: Range<usize>, cols: Range<usize>, scratch: *mut u8) -> Run<'_> {
        let mut staging = scratch.wrapping_add(self.n_registers * self.register_bytes);
        let mut staged = Vec::new();
        for (step, &size) in self.steps.iter().zip(&self.sizes) {
            let Step::Load { memory: Memory { ptr, at, staged: Some(_) }, .. } = step else { continue };
            at.block_boxes(rows.clone(), cols.clone(), |value, place, dims, to| {
                let shape: Vec<usize> = dims.iter().map(|d| d.0).collect();
                let from: Vec<isize> = dims.iter().map(|d| d.1 as isize).collect();
                let layout = Layout { shape: &shape, from: &from, to };
                let src = ptr.wrapping_offset(value as isize * size as isize);
                // SAFETY: a box of the operand, which lies in its plane, and of the staging memory.
                unsafe { copy_box(size, &layout, src, staging.add(place * size)) }
            });
            staged.push(staging.cast_const());
            let bytes = rows.len() * cols.len() * size;
            staging = staging.wrapping_add(bytes.next_multiple_of(64));
        }
        let locs = vec![Loc::single(std::ptr::null()); self.steps.len()];
        Run { program: self, rows, cols, scratch, staged, locs }
    }
}

/// A function of two values at `dst`: of `n` elements, or of one where both are.
///
/// # Safety
/// The values have `n` elements or one for all, and `dst` has room for as many, apart from them.
unsafe fn binary(f: &BinaryFns, a: Loc, b: Loc, n: usize, dst: *mut u8) -> Result<Loc, KernelError> {
    let (f, n) = match (a.single, b.single) {
        (false, false) => (f.vv, n),
        (false, true) => (f.vs, n),
        (true, false) => (f.sv, n),
        (true, true) => (f.vv, 1),
    };
    // SAFETY: promised by the caller.
    if !unsafe { f(n, dst, a.ptr, b.ptr) } {
        return Err(KernelError::Operation("attempt to divide by zero".into()));
    }
    Ok(Loc::of_strip(dst, a.single && b.single))
}

/// The evaluation of a program over a part of the space, block by block.
pub(crate) struct Run<'p> {
    program: &'p Program,
    rows: Range<usize>,
    cols: Range<usize>,
    scratch: *mut u8,
    staged: Vec<*const u8>,
    locs: Vec<Loc>,
}

impl Run<'_> {
    /// The program's value over a block: part of a row, or several whole rows (of the run's columns); at most
    /// [`BLOCK`] elements. It is written to `out`.
    ///
    /// # Safety
    /// The block lies in the run, `out` has room for it and is apart from the scratch memory.
    pub(crate) unsafe fn block(
        &mut self,
        rows: Range<usize>,
        cols: Range<usize>,
        out: *mut u8,
    ) -> Result<(), KernelError> {
        let n = rows.len() * cols.len();
        debug_assert!(n <= BLOCK && (rows.len() <= 1 || cols == self.cols));
        // SAFETY: promised by the caller.
        unsafe {
            let result = self.evaluate((&rows, &cols), n, out)?;
            if result.single || !std::ptr::eq(out, result.ptr) {
                self.spread(result, n, out);
            }
        }
        Ok(())
    }

    /// The value as an array of `n` elements at `out`.
    unsafe fn spread(&self, value: Loc, n: usize, out: *mut u8) {
        let size = self.program.result_size();
        // SAFETY: promised by the caller.
        unsafe {
            if value.single {
                let element: [u8; 16] =
                    std::array::from_fn(|i| if i < size { value.ptr.add(i).read() } else { 0 });
                ops::fill(size, n, out, (&raw const element).cast());
            } else {
                std::ptr::copy_nonoverlapping(value.ptr, out, n * size);
            }
        }
    }

    /// The program's value over a block: where it lies if it is an operand's or one for all, else at `out`.
    unsafe fn evaluate(
        &mut self,
        (rows, cols): (&Range<usize>, &Range<usize>),
        n: usize,
        out: *mut u8,
    ) -> Result<Loc, KernelError> {
        let program = self.program;
        let last = program.steps.len() - 1;
        for i in 0..=last {
            let room = |register| if i == last { out } else { self.register(register) };
            // SAFETY: promised by the caller.
            if let Some(loc) = unsafe { self.source(i, (rows, cols), room) } {
                self.locs[i] = loc;
            }
        }
        if program.computing.last() != Some(&last) {
            return Ok(self.locs[last]);
        }
        let mut start = 0;
        while start < n {
            let len = if program.computing.len() > 1 { program.strip.min(n - start) } else { n };
            let place = out.wrapping_add(start * program.result_size());
            for &i in &program.computing {
                // SAFETY: promised by the caller; a strip of the block.
                unsafe { self.compute(i, start, len, (i == last).then_some(place))? };
            }
            let result = self.locs[last];
            if result.single {
                return Ok(result);
            }
            if !std::ptr::eq(result.ptr, place) {
                // SAFETY: a choice by one condition for all is its argument, which lies elsewhere.
                unsafe { self.spread(result, len, place) }
            }
            start += len;
        }
        Ok(Loc::of_block(out, program.result_size()))
    }

    fn register(&self, register: usize) -> *mut u8 {
        self.scratch.wrapping_add(register * self.program.register_bytes)
    }

    /// A value that is not computed from others, over the whole block.
    unsafe fn source(
        &self,
        i: usize,
        (rows, cols): (&Range<usize>, &Range<usize>),
        room: impl Fn(usize) -> *mut u8,
    ) -> Option<Loc> {
        let size = self.program.sizes[i];
        // SAFETY: the block lies in the operands, and a register or `out` has room for it.
        unsafe {
            Some(match &self.program.steps[i] {
                Step::Load { memory, register } => self.load(memory, size, (rows, cols), room(*register)),
                Step::Const(bits) => Loc::single((&raw const **bits).cast()),
                Step::Index { value, register } => {
                    let dst = room(*register);
                    value.for_runs(rows.clone(), cols.clone(), |at, start, step, n| {
                        let out = dst.cast::<i64>().add(at);
                        (0..n)
                            .for_each(|i| out.add(i).write(start.wrapping_add(step.wrapping_mul(i as i64))));
                    });
                    Loc::of_block(dst, size)
                }
                Step::Random { stream, counter, register } => {
                    let dst = room(*register);
                    counter.for_runs(rows.clone(), cols.clone(), |at, start, step, n| {
                        stream.fill(start, step, n, dst.add(at * size));
                    });
                    Loc::of_block(dst, size)
                }
                _ => return None,
            })
        }
    }

    /// Computes a value from others, over the `n` elements of the block from `start` on; at `out` if given.
    ///
    /// Where it lies is noted field by field, not returned: a result that is written in parts and copied whole has
    /// the processor wait for the writes, as long as a strip takes.
    unsafe fn compute(
        &mut self,
        i: usize,
        start: usize,
        n: usize,
        out: Option<*mut u8>,
    ) -> Result<(), KernelError> {
        let program = self.program;
        let to = |run: &Self, register: usize| out.unwrap_or_else(|| run.register(register));
        let length = |single: bool| if single { 1 } else { n };
        // SAFETY: values lie in registers, staging memory or operands, each with the strip's elements or one for
        // all; a value's register differs from those of its arguments.
        unsafe {
            match &program.steps[i] {
                Step::Unary { f, a, register } => {
                    let (a, dst) = (self.strip(*a, start), to(self, *register));
                    f(length(a.single), dst, a.ptr);
                    self.locs[i] = Loc::of_strip(dst, a.single);
                }
                Step::Binary { f, a, b, register } => {
                    let (a, b) = (self.strip(*a, start), self.strip(*b, start));
                    self.locs[i] = binary(f, a, b, n, to(self, *register))?;
                }
                Step::Pair { pair, then, register } => {
                    let ([a, b], c) =
                        (pair.args.map(|v| self.strip(v, start)), self.strip(pair.other, start));
                    let dst = to(self, *register);
                    if a.single {
                        self.compute(pair.first, start, n, None)?;
                        let first = self.strip(pair.first, start);
                        let (x, y) = if pair.after { (c, first) } else { (first, c) };
                        self.locs[i] = binary(then, x, y, n, dst)?;
                    } else {
                        let f = pair.f[usize::from(b.single)][usize::from(c.single)];
                        f(n, dst, a.ptr, b.ptr, c.ptr);
                        self.locs[i] = Loc::of_strip(dst, false);
                    }
                }
                Step::Select { f, c, a, b, register } => {
                    let [c, a, b] = [*c, *a, *b].map(|v| self.strip(v, start));
                    self.locs[i] = if c.single {
                        if c.ptr.cast::<bool>().read() { a } else { b }
                    } else {
                        let dst = to(self, *register);
                        f[usize::from(a.single)][usize::from(b.single)](n, dst, c.ptr, a.ptr, b.ptr);
                        Loc::of_strip(dst, false)
                    };
                }
                Step::Apply { f, args, register } => {
                    let dst = to(self, *register);
                    let mut lanes = [Lane { ptr: dst, step: 0 }; ARGUMENTS_MAX];
                    for (lane, &arg) in lanes.iter_mut().zip(args) {
                        let arg = self.strip(arg, start);
                        *lane = Lane { ptr: arg.ptr, step: usize::from(!arg.single) };
                    }
                    // For every element, also where the arguments are the same: the function may not be pure.
                    f.call(n, &lanes[..args.len()], dst)?;
                    self.locs[i] = Loc::of_strip(dst, false);
                }
                Step::Load { .. } | Step::Const(_) | Step::Index { .. } | Step::Random { .. } => {}
            }
        }
        Ok(())
    }

    /// Where a value lies for the strip that begins at element `start` of the block.
    fn strip(&self, value: usize, start: usize) -> Loc {
        let loc = self.locs[value];
        Loc::of_strip(loc.at(start), loc.single)
    }

    /// An operand's elements over a block: in place where they lie so, else copied to `dst`.
    unsafe fn load(
        &self,
        memory: &Memory,
        size: usize,
        (rows, cols): (&Range<usize>, &Range<usize>),
        dst: *mut u8,
    ) -> Loc {
        if let Some(number) = memory.staged {
            let at = (rows.start - self.rows.start) * self.cols.len() + cols.start - self.cols.start;
            return Loc::of_block(self.staged[number].wrapping_add(at * size), size);
        }
        let address = |element: i64| memory.ptr.wrapping_offset(element as isize * size as isize);
        match memory.at.step(rows, cols) {
            Some(1) => return Loc::of_block(address(memory.at.at(rows.start, cols.start)), size),
            Some(0) => return Loc::single(address(memory.at.at(rows.start, cols.start))),
            _ => {}
        }
        memory.at.for_runs(rows.clone(), cols.clone(), |at, element, step, n| {
            // SAFETY: the run lies in the operand, and the register has room for the block.
            unsafe { copy_line(size, n, step as isize, address(element), dst.wrapping_add(at * size)) };
        });
        Loc::of_block(dst, size)
    }

    /// The program's value over a block as an array of elements: where it lies if that is in an operand, else at
    /// `room`. Valid until `room` is written again.
    ///
    /// # Safety
    /// As for [`Run::block`]; `room` has room for the block and is apart from the scratch memory.
    pub(crate) unsafe fn dense(
        &mut self,
        rows: Range<usize>,
        cols: Range<usize>,
        room: *mut u8,
    ) -> Result<*const u8, KernelError> {
        let n = rows.len() * cols.len();
        // SAFETY: promised by the caller.
        let result = unsafe { self.evaluate((&rows, &cols), n, room)? };
        if result.single {
            // SAFETY: promised by the caller.
            unsafe { self.spread(result, n, room) };
            return Ok(room);
        }
        Ok(result.ptr)
    }
}
