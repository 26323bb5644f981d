//! From the chunks of a result to its values in row-major order.

use tilework_expr::Element;

use tilework_kernels::Chunk;
use tilework_plan::{ChunkIdx, Grid};

/// The elements of an array on `grid`, row-major, from its chunks in order. Each chunk is dropped when it was copied, so
/// that a result is not there twice: the memory of its elements is taken as they are written.
pub(crate) fn values<A: Element>(grid: &Grid, chunks: Vec<Chunk>) -> Vec<A> {
    let shape = grid.shape();
    let len: usize = shape.iter().product();
    if len == 0 {
        return Vec::new();
    }
    if let [chunk] = &chunks[..] {
        let plane = chunk.planes[0].to_contiguous();
        return plane.as_slice::<A>().expect("a result has its expression's dtype").to_vec();
    }
    let mut array = ndarray::ArrayD::<A>::from_elem(shape, A::from_bits(0));
    for (i, chunk) in chunks.into_iter().enumerate() {
        let region = grid.region(ChunkIdx(i as u64));
        let plane = chunk.planes[0].to_contiguous();
        let values = plane.as_slice::<A>().expect("a result has its expression's dtype");
        let view = ndarray::ArrayView::from_shape(tilework_plan::region_shape(&region), values);
        let view = view.expect("a chunk has as many elements as its box");
        let slice = |a: ndarray::AxisDescription| {
            let r = &region[a.axis.index()];
            ndarray::Slice::new(r.start as isize, Some(r.end as isize), 1)
        };
        array.slice_each_axis_mut(slice).assign(&view);
    }
    array.into_raw_vec_and_offset().0
}
