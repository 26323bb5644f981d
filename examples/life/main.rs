//! Conway's game of life on a torus: each cell looks at its eight neighbours, whichever worker has them.

use clap::{Parser, ValueEnum};
use std::time::Instant;
use tilework::prelude::*;
use tilework::{Boundary, ndarray};
use tilework_examples::{Where, result};

/// Plays Conway's game of life on a torus.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    place: Where,
    /// How the board begins.
    #[arg(long, value_enum, default_value_t = Start::Random)]
    start: Start,
    /// Cells along either side.
    #[arg(long, default_value_t = 1024)]
    n: usize,
    /// Cells along either side of a chunk.
    #[arg(long, default_value_t = 256)]
    chunk: usize,
    /// Generations.
    #[arg(long, default_value_t = 50)]
    generations: usize,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Start {
    /// A third of the cells, at random.
    Random,
    /// One glider, which moves by one cell along both axes in four generations.
    Glider,
}

/// Boards of at most so many cells along a side are printed.
const PRINTED_MAX: usize = 40;

/// The next generation of a block, which comes with one more cell on each side.
fn next(block: ndarray::ArrayView2<'_, u8>) -> ndarray::Array2<u8> {
    let (rows, columns) = block.dim();
    ndarray::Array2::from_shape_fn((rows - 2, columns - 2), |(i, j)| {
        let around = block.slice(s![i..i + 3, j..j + 3]);
        let alive = block[[i + 1, j + 1]];
        let neighbours = around.sum() - alive;
        u8::from(neighbours == 3 || neighbours == 2 && alive == 1)
    })
}

fn board(start: Start, n: usize, chunk: usize) -> Array2<u8> {
    let chunk = chunk as isize;
    match start {
        Start::Random => {
            let x: Array2<f64> = tilework::random::in_chunks(chunk).uniform((n, n), 0.0..1.0, 2026);
            x.mapv(|x| u8::from(x < 1.0 / 3.0))
        }
        Start::Glider => Array2::in_chunks(chunk)
            .from_shape_fn((n, n), |at| u8::from(matches!(at, (0, 1) | (1, 2) | (2, 0) | (2, 1) | (2, 2)))),
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let session = args.place.open()?;
    let started = Instant::now();
    let mut board = board(args.start, args.n, args.chunk);
    for _ in 0..args.generations {
        board = board.try_map_overlap(1, Boundary::Periodic, next)?;
    }
    // A number that depends on where each cell is, so that two boards with as many cells differ.
    let place = Array1::<i64>::arange(0, args.n as i64, 1);
    let alive = board.cast::<i64>();
    let rows = (&alive.sum_axis(Axis(1)) * &place).lazy_sum();
    let columns = (&alive.sum_axis(Axis(0)) * &place).lazy_sum();
    let (n_alive, rows, columns, board) =
        tilework::try_compute_all(&(&alive.lazy_sum(), &rows, &columns, &board))?;
    if args.n <= PRINTED_MAX {
        for row in board.rows() {
            println!("{}", row.iter().map(|&cell| if cell == 1 { '#' } else { '.' }).collect::<String>());
        }
    }
    result(&format!("{n_alive} cells are alive, rows sum to {rows}, columns to {columns}"));
    println!("{} generations, {} workers, {:.2?}", args.generations, session.n_workers(), started.elapsed());
    Ok(())
}
