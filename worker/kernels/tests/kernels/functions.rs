//! Functions of the user's: within fused programs, over blocks, with halos of every kind, along axes.

use crate::harness::{Lay, POOLS, array_of, check, digits, floats, literal, plane_of, run};
use crate::views::chunks;
use ndarray::{ArrayD, Axis, Dimension, IxDyn, Slice};
use std::sync::Arc;
use tilework_expr::{BinaryOp, Boundary, Chunks, DType, Expr, Fold, Halo, Kernel, Scalar, SliceArg, UnaryOp};
use tilework_kernels::native::{
    BlockCall, Descriptor, Entry, Gives, Lanes, Place, Takes, ValuesCall, call_block, call_values, kernel_of,
};
use tilework_kernels::{Chunk, KernelError, Plane};

fn any(_: &[u8]) -> bool {
    true
}

/// Names a function with its dtypes and entry.
macro_rules! kernel {
    ($name:literal, [$($takes:ident),*] -> $output:ident, $entry:expr, $params:expr) => {{
        const DESCRIPTOR: &Descriptor = {
            let types = (Takes::Each(&[$(DType::$takes),*]), Gives::Dtype(DType::$output));
            // SAFETY: the functions below are called with the dtypes that they are written for.
            &unsafe { Descriptor::new(|| $name, types, any, $entry) }
        };
        kernel_of(DESCRIPTOR, vec![$(DType::$takes),*], $params).unwrap()
    }};
}

/// `x * y + parameter`, of an integer and a float; panics at 13.
unsafe fn weigh(lanes: &Lanes<'_>) {
    let plus = f64::from(lanes.params[0]);
    for i in 0..lanes.n {
        // SAFETY: the inputs are of i64 and f64, the result is of f64.
        unsafe {
            let x = lanes.inputs[0].ptr.cast::<i64>().add(i * lanes.inputs[0].step).read();
            let y = lanes.inputs[1].ptr.cast::<f64>().add(i * lanes.inputs[1].step).read();
            assert!(x != 13, "thirteen of {y}");
            lanes.out.cast::<f64>().add(i).write(x as f64 * y + plus);
        }
    }
}

fn weighing(plus: u8) -> Kernel {
    kernel!("weigh", [I64, F64] -> F64, Entry::Elements(weigh), vec![plus])
}

#[test]
fn functions_of_elements_are_values_of_fused_programs() {
    let x = digits::<i64>(&[130, 75], 3).mapv(|v| if v == 13 { 0 } else { v });
    let y = floats(&[130, 75], 4);
    let (ex, ey) = (literal(&x, &chunks(&[50, 40])), literal(&y, &chunks(&[130, 20])));
    let e = Expr::apply(weighing(5), &[ex.clone(), ey.unary(UnaryOp::Neg).unwrap()]).unwrap();
    let want = ndarray::Zip::from(&x).and(&y).map_collect(|&x, &y| x as f64 * -y + 5.0);
    check(&e, &want);
    // Through views, with one argument the same everywhere, and into a reduction.
    let args = [SliceArg::Range { start: 3, end: Some(126), step: -3 }, SliceArg::At(7)];
    check(&e.slice(&args).unwrap(), &want.slice(ndarray::s![3..126;-3, 7]).to_owned().into_dyn());
    let row = ey.slice(&[SliceArg::At(2), SliceArg::Range { start: 0, end: None, step: 1 }]).unwrap();
    let e = Expr::apply(weighing(1), &[ex, row.broadcast_to(&[130, 75]).unwrap()]).unwrap();
    let e = e.binary(BinaryOp::Mul, &e).unwrap();
    let want = ndarray::Zip::from(&x)
        .and(&y.index_axis(Axis(0), 2).broadcast(IxDyn(&[130, 75])).unwrap())
        .map_collect(|&x, &y| (x as f64 * y + 1.0) * (x as f64 * y + 1.0));
    check(&e, &want);
    let most = want.fold_axis(Axis(0), f64::MIN, |a, b| a.max(*b));
    check(&e.reduce(Fold::Max, &[0]).unwrap(), &most);
}

#[test]
fn a_panic_and_a_wrong_build_are_errors_of_the_operation() {
    let x = literal(&digits::<i64>(&[5000], 3).mapv(|_| 13i64), &chunks(&[1000]));
    let y = literal(&floats(&[5000], 4), &chunks(&[1000]));
    let error =
        |kernel, inputs: &[Expr]| match run(&Expr::apply(kernel, inputs).unwrap(), Lay::Rows, &POOLS[2]) {
            Err(KernelError::Operation(text)) => text,
            other => panic!("{other:?}"),
        };
    let text = error(weighing(0), &[x.clone(), y.clone()]);
    assert!(text.contains("panic in the function weigh: thirteen of"), "{text}");
    let other = Kernel { build: "beef".into(), ..weighing(0) };
    let text = error(other, &[x.clone(), y.clone()]);
    assert!(
        text.contains("build beef") && text.contains(tilework_kernels::native::build_id().unwrap()),
        "{text}"
    );
    let block = Kernel { inputs: vec![DType::I64, DType::F64], ..windows(&[1]) };
    assert!(error(block, &[x, y]).contains("dtypes"));
}

/// For each element of a block, the weighted sum of its neighbours within the depths that the parameters give.
fn window(call: &BlockCall<'_>) -> Result<Plane, String> {
    let block = array_of::<i64>(call.block(0)?);
    let depths: Vec<usize> = call.params.iter().map(|&d| usize::from(d)).collect();
    let sums = ArrayD::from_shape_fn(block.raw_dim(), |at| {
        let mut sum = 0;
        for_offsets(&depths, |offset, weight| {
            let to: Option<Vec<usize>> =
                at.slice().iter().zip(offset).map(|(&i, &o)| i.checked_add_signed(o)).collect();
            sum += to.and_then(|to| block.get(&to[..]).copied()).unwrap_or(0) * weight;
        });
        sum
    });
    Ok(plane_of(&sums))
}

/// The same, for the inner part of a block alone.
fn inner_window(call: &BlockCall<'_>) -> Result<Plane, String> {
    let mut sums = array_of::<i64>(&window(call)?);
    for (a, &d) in call.params.iter().enumerate() {
        let end = sums.shape()[a] - usize::from(d);
        sums.slice_axis_inplace(Axis(a), Slice::from(usize::from(d)..end));
    }
    Ok(plane_of(&sums))
}

fn windows(depths: &[u8]) -> Kernel {
    kernel!("window", [I64] -> I64, Entry::Block(window), depths.to_vec())
}

fn inner_windows(depths: &[u8]) -> Kernel {
    kernel!("inner window", [I64] -> I64, Entry::Block(inner_window), depths.to_vec())
}

/// Every offset within the depths, with a weight of its own.
fn for_offsets(depths: &[usize], mut f: impl FnMut(&[isize], i64)) {
    let shape: Vec<usize> = depths.iter().map(|d| 2 * d + 1).collect();
    for (i, at) in ndarray::indices(IxDyn(&shape)).into_iter().enumerate() {
        let offset: Vec<isize> =
            at.slice().iter().zip(depths).map(|(&i, &d)| i as isize - d as isize).collect();
        f(&offset, i as i64 * 31 % 17 + 1);
    }
}

/// What an element beyond the edges is: `None` for nothing.
fn beyond(array: &ArrayD<i64>, at: &[isize], boundaries: &[Boundary]) -> Option<i64> {
    let mut index = Vec::new();
    let mut constant = None;
    // The axes are filled in turn: the last one that is left says which constant.
    for ((&p, &len), boundary) in at.iter().zip(array.shape()).zip(boundaries) {
        let n = len as isize;
        let inside = (0..n).contains(&p);
        index.push(match boundary {
            _ if inside => p,
            Boundary::None => return None,
            Boundary::Periodic => p.rem_euclid(n),
            Boundary::Nearest => p.clamp(0, n - 1),
            Boundary::Reflect if p < 0 => -1 - p,
            Boundary::Reflect => 2 * n - 1 - p,
            Boundary::Constant(value) => {
                constant = value.get::<i64>();
                0
            }
        } as usize);
    }
    constant.or_else(|| array.get(&index[..]).copied())
}

const BOUNDARIES: [Boundary; 5] = [
    Boundary::Periodic,
    Boundary::Reflect,
    Boundary::Nearest,
    Boundary::None,
    Boundary::Constant(Scalar::from_bits(DType::I64, 1000)),
];

fn check_windows(shape: &[usize], cut: &[usize], depths: &[usize], boundaries: &[Boundary]) {
    let x = digits::<i64>(shape, 7);
    let want = ArrayD::from_shape_fn(IxDyn(shape), |at| {
        let mut sum = 0;
        for_offsets(depths, |offset, weight| {
            let to: Vec<isize> = at.slice().iter().zip(offset).map(|(&i, o)| i as isize + o).collect();
            sum += beyond(&x, &to, boundaries).unwrap_or(0) * weight;
        });
        sum
    });
    let halo: Vec<Halo> =
        depths.iter().zip(boundaries).map(|(&depth, &boundary)| Halo::even(depth, boundary)).collect();
    let params: Vec<u8> = depths.iter().map(|&d| d as u8).collect();
    let e = literal(&x, &chunks(cut));
    check(&e.map_overlap(windows(&params), &halo).unwrap(), &want);
    if !boundaries.iter().any(|b| matches!(b, Boundary::None)) {
        check(&e.map_overlap(inner_windows(&params), &halo).unwrap(), &want);
    }
}

#[test]
fn halos_of_one_dimension_are_what_brute_force_says() {
    for boundary in BOUNDARIES {
        for (len, cut) in [(1, 1), (7, 7), (10, 3), (12, 4), (9, 1)] {
            for depth in [0, 1, 2, 4, 9].into_iter().filter(|d| *d <= len) {
                check_windows(&[len], &[cut], &[depth], &[boundary]);
            }
        }
    }
}

#[test]
fn halos_of_several_dimensions_are_what_brute_force_says() {
    for (i, &first) in BOUNDARIES.iter().enumerate() {
        check_windows(&[9, 7], &[4, 3], &[1, 2], &[first, first]);
        check_windows(&[6, 7], &[2, 7], &[3, 0], &[first, BOUNDARIES[(i + 1) % 5]]);
        check_windows(
            &[5, 4, 6],
            &[2, 4, 3],
            &[1, 2, 1],
            &[first, BOUNDARIES[(i + 2) % 5], BOUNDARIES[(i + 4) % 5]],
        );
    }
}

#[test]
fn a_halo_is_read_through_new_chunks_and_of_what_is_computed() {
    let x = digits::<i64>(&[24, 10], 5);
    let e = literal(&x, &chunks(&[7, 10])).unary(UnaryOp::Neg).unwrap().rechunk(&chunks(&[5, 4])).unwrap();
    let halo = vec![Halo::even(2, Boundary::Periodic), Halo::NONE];
    let twice = e.map_overlap(windows(&[2, 0]), &halo).unwrap().map_overlap(windows(&[2, 0]), &halo).unwrap();
    let blur = |x: &ArrayD<i64>| {
        ArrayD::from_shape_fn(x.raw_dim(), |at| {
            let mut sum = 0;
            for_offsets(&[2, 0], |o, w| {
                sum += x[[(at[0] as isize + o[0]).rem_euclid(24) as usize, at[1]]] * w
            });
            sum
        })
    };
    check(&twice, &blur(&blur(&x.mapv(|v| -v))));
}

fn backwards(call: &BlockCall<'_>) -> Result<Plane, String> {
    let block = array_of::<i64>(call.block(0)?);
    let mut out = block.clone();
    out.invert_axis(Axis(0));
    if call.params == [1] {
        out = out
            .as_standard_layout()
            .into_owned()
            .into_shape_with_order(IxDyn(&[block.len()]))
            .map_err(|e| e.to_string())?;
    }
    if call.params == [2] { Err("no".into()) } else { Ok(plane_of(&out)) }
}

fn reversing(param: u8) -> Kernel {
    kernel!("backwards", [I64] -> I64, Entry::Block(backwards), vec![param])
}

#[test]
fn blocks_are_chunks_and_keep_their_shape() {
    let x = digits::<i64>(&[9, 4], 5);
    let e = literal(&x, &chunks(&[5, 3]));
    let want =
        ArrayD::from_shape_fn(x.raw_dim(), |at| x[[if at[0] < 5 { 4 - at[0] } else { 13 - at[0] }, at[1]]]);
    check(&e.map_blocks(reversing(0)).unwrap(), &want);
    let t = e.reversed_axes().unwrap().map_blocks(reversing(0)).unwrap();
    let want = ArrayD::from_shape_fn(IxDyn(&[4, 9]), |at| x[[at[1], if at[0] < 3 { 2 - at[0] } else { 3 }]]);
    check(&t, &want);
    for (param, why) in [(1, "shape [15], expected i64 of shape [5, 3]"), (2, "backwards: no")] {
        let error = run(&e.map_blocks(reversing(param)).unwrap(), Lay::Rows, &POOLS[0]).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    let none = literal(&digits::<i64>(&[0, 4], 5), &Chunks::Auto);
    check(&none.map_blocks(reversing(1)).unwrap(), &ArrayD::<i64>::zeros(IxDyn(&[0, 4])));
}

/// `a * 3 + x`, which depends on the order.
fn fold(call: &BlockCall<'_>) -> Result<Plane, String> {
    let block = array_of::<i64>(call.block(0)?);
    Ok(plane_of(
        &block.fold_axis(Axis(usize::from(call.params[0])), 1i64, |a, x| a.wrapping_mul(3).wrapping_add(*x)),
    ))
}

#[test]
fn an_axis_is_folded_in_the_order_of_its_positions() {
    let kernel = |axis| kernel!("fold", [I64] -> I64, Entry::Block(fold), vec![axis as u8]);
    for (shape, cut) in [(vec![11, 6], [3, 4]), (vec![0, 6], [1, 4]), (vec![5, 0], [2, 1])] {
        let x = digits::<i64>(&shape, 9);
        for axis in 0..2 {
            let want = x.fold_axis(Axis(axis), 1i64, |a, x| a.wrapping_mul(3).wrapping_add(*x));
            check(&literal(&x, &chunks(&cut)).fold_axis(kernel(axis), axis).unwrap(), &want);
        }
    }
}

fn bytes(values: &[u8]) -> Plane {
    Chunk::from_bytes(&[DType::U8], &[values.len()], values).unwrap().planes.remove(0)
}

/// The parameters and, after each, what is read there; the number of bytes says what goes wrong.
fn joined(call: &ValuesCall<'_>) -> Result<Plane, String> {
    let values = call.values.iter().map(|value| value.contiguous_bytes().unwrap());
    let all: Vec<u8> = std::iter::once(call.params).chain(values).flatten().copied().collect();
    match all.len() {
        13 => panic!("thirteen bytes"),
        14 => Err("fourteen".into()),
        15 => Ok(plane_of(&ArrayD::<i64>::zeros(IxDyn(&[15])))),
        _ => Ok(bytes(&all)),
    }
}

#[test]
fn functions_of_values_get_the_bytes_of_their_call() {
    let kernel = Arc::new(kernel!("joined", [] -> U8, Entry::Values(joined), vec![]));
    let call = |params: &[u8], values: &[&[u8]]| {
        let planes: Vec<Plane> = values.iter().map(|value| bytes(value)).collect();
        let values: Vec<&Plane> = planes.iter().collect();
        call_values(&kernel, &ValuesCall { params, values: &values })
    };
    let text = |n: usize| call(&vec![0; n], &[]).unwrap_err().to_string();
    assert_eq!(call(&[1, 2], &[&[3], &[], &[4, 5]]).unwrap().contiguous_bytes(), Some(&[1, 2, 3, 4, 5][..]));
    assert_eq!(call(&[], &[]).unwrap().shape(), [0]);
    assert!(text(13).starts_with("panic in the function joined: thirteen bytes ("), "{}", text(13));
    assert!(text(13).contains("functions.rs:"), "{}", text(13));
    assert_eq!(text(14), "joined: fourteen");
    assert_eq!(text(15), "joined gave i64 of shape [15], expected bytes on one axis");
    let place = Place { chunk: vec![], counts: vec![], space: vec![], region: vec![], shape: vec![] };
    assert!(
        call_block(&kernel, &BlockCall { inputs: &[], params: &[], place: &place })
            .unwrap_err()
            .to_string()
            .contains("called in another way")
    );
    let block = Arc::new(reversing(0));
    let wrong = call_values(&block, &ValuesCall { params: &[], values: &[] }).unwrap_err();
    assert!(wrong.to_string().contains("called in another way"), "{wrong}");
}
