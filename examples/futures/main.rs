//! A picture of the Mandelbrot set by a master and its workers: tiles that take very different times are handed out one by
//! one, and drawn in the order in which they come back.

use anyhow::{Context, ensure};
use clap::Parser;
use plotters::prelude::{BitMapBackend, IntoDrawingArea, RGBColor};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tilework::{Session, as_completed};
use tilework_examples::{Where, result};

/// Draws the Mandelbrot set.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    place: Where,
    /// Pixels across; there are three quarters as many down.
    #[arg(long, default_value_t = 1600)]
    width: usize,
    /// Steps after which a point that is still near the origin counts as inside.
    #[arg(long, default_value_t = 2000)]
    steps: u32,
    /// The picture.
    #[arg(long, value_name = "FILE", default_value = "mandelbrot.png")]
    picture: PathBuf,
    /// Then draws it again on 1, 2, .. so many worker processes of this machine and says how long each took.
    #[arg(long, value_name = "N", default_value_t = 0)]
    compare: usize,
}

/// What all tiles have in common.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct View {
    width: usize,
    height: usize,
    steps: u32,
}

/// A part of the picture: its first column and row, and how many there are of each.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Tile {
    at: (usize, usize),
    size: (usize, usize),
}

/// The steps of each pixel of a tile, row by row.
#[derive(Serialize, Deserialize)]
struct Drawn {
    tile: Tile,
    steps: Vec<u32>,
}

/// What a worker does.
fn draw(tile: Tile, view: &View) -> Drawn {
    let scale = 3.2 / view.width as f64;
    let mut steps = Vec::with_capacity(tile.size.0 * tile.size.1);
    for row in tile.at.1..tile.at.1 + tile.size.1 {
        for column in tile.at.0..tile.at.0 + tile.size.0 {
            let x = (column as f64 - view.width as f64 / 2.0) * scale - 0.7;
            let y = (row as f64 - view.height as f64 / 2.0) * scale;
            steps.push(escape((x, y), view.steps));
        }
    }
    Drawn { tile, steps }
}

/// After how many steps of `z * z + c` a point is far from the origin; at most so many.
fn escape((x, y): (f64, f64), most: u32) -> u32 {
    let (mut re, mut im) = (0.0f64, 0.0f64);
    for step in 0..most {
        let (re2, im2) = (re * re, im * im);
        if re2 + im2 > 4.0 {
            return step;
        }
        im = 2.0 * re * im + y;
        re = re2 - im2 + x;
    }
    most
}

/// Cuts the picture into tiles: the further down, the smaller, so that the last ones to be handed out end together.
fn tiles(view: View) -> Vec<Tile> {
    let (mut tiles, mut row, mut side) = (Vec::new(), 0, view.width.div_ceil(10).max(8));
    while row < view.height {
        let rows = side.min(view.height - row);
        for column in (0..view.width).step_by(side) {
            tiles.push(Tile { at: (column, row), size: (side.min(view.width - column), rows) });
        }
        row += rows;
        side = (side * 4 / 5).max(8);
    }
    tiles
}

/// Draws the picture on a session; `show` is called with each tile as it comes.
fn picture(session: &Session, view: View, mut show: impl FnMut(&Drawn)) -> tilework::Result<Vec<u32>> {
    let mut pixels = vec![0; view.width * view.height];
    // The master: a future for each tile is there at once, and each is taken when a worker has drawn it.
    let futures = session.map_with(draw, view, tiles(view))?;
    for (_, future) in as_completed(&futures)? {
        let drawn = future.result()?;
        let Tile { at: (column, row), size: (columns, _) } = drawn.tile;
        for (i, line) in drawn.steps.chunks(columns).enumerate() {
            let start = (row + i) * view.width + column;
            pixels[start..start + columns].copy_from_slice(line);
        }
        show(&drawn);
    }
    Ok(pixels)
}

/// Blue far from the set, bright at its edge, black within.
fn colour(steps: u32, most: u32) -> RGBColor {
    if steps == most {
        return RGBColor(0, 0, 0);
    }
    let near = (f64::from(steps).ln_1p() / f64::from(most).ln_1p()).sqrt();
    let part = |power: f64| (255.0 * near.powf(power)) as u8;
    RGBColor(part(3.0), part(1.7), part(0.7))
}

fn write(pixels: &[u32], view: View, path: &PathBuf) -> anyhow::Result<()> {
    let area = BitMapBackend::new(path, (view.width as u32, view.height as u32)).into_drawing_area();
    for (i, &steps) in pixels.iter().enumerate() {
        let at = ((i % view.width) as i32, (i / view.width) as i32);
        area.draw_pixel(at, &colour(steps, view.steps))?;
    }
    area.present().with_context(|| format!("cannot write {}", path.display()))
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let view = View { width: args.width, height: args.width * 3 / 4, steps: args.steps };
    ensure!(view.height > 0, "--width {}: expected at least 2", args.width);
    let session = args.place.open()?;
    let started = Instant::now();
    let (mut first, mut n_tiles) = (None, 0);
    let pixels = picture(&session, view, |_| {
        first.get_or_insert_with(|| started.elapsed());
        n_tiles += 1;
    })?;
    let took = started.elapsed();
    write(&pixels, view, &args.picture)?;
    let steps: u64 = pixels.iter().map(|&steps| u64::from(steps)).sum();
    let inside = pixels.iter().filter(|&&s| s == view.steps).count();
    result(&format!("{inside} of {} points are inside, {steps} steps", pixels.len()));
    println!(
        "{n_tiles} tiles, {} workers, {took:.2?}, the first tile after {:.2?}; see {}",
        session.n_workers(),
        first.unwrap_or_default(),
        args.picture.display()
    );
    let mut alone: Option<Duration> = None;
    for n in 1..=args.compare {
        let session = Session::processes(n)?;
        let started = Instant::now();
        ensure!(picture(&session, view, |_| {})? == pixels, "another picture on {n} workers");
        let took = started.elapsed();
        let faster = alone.get_or_insert(took).as_secs_f64() / took.as_secs_f64();
        println!("{n} worker processes: {took:.2?}, {faster:.2} times as fast as one");
    }
    Ok(())
}
