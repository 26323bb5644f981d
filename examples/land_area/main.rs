//! How much of the Earth is land? From a mask of 933 million cells in a Zarr store, in one run: the area-weighted
//! share of land, the share by 10° of latitude, and the longitude with most land.
//!
//! `cargo run --release --example land_area [-- --session processes:2 | --connect FILE]`

use anyhow::Context;
use clap::Parser;
use plotters::prelude::*;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tilework::prelude::*;
use tilework_examples::{Where, peak_memory_bytes, result};

/// The share of the Earth's surface that is land, from a mask of 933 million cells.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    place: Where,
    /// The Zarr store with the arrays `mask` (true = ocean), `lat` and `lon`.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data/land_mask.zarr"))]
    data: PathBuf,
    /// Only so many rows of cells from the north pole, for a quick look; a band of 10° has 1200.
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Where the plot of the profile goes.
    #[arg(long, default_value = "land_area.png", value_name = "FILE")]
    plot: PathBuf,
}

/// What the run finds.
struct Land {
    share: f64,
    by_latitude: Vec<f64>,
    longitude: f64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let started = Instant::now();
    let session = args.place.open()?;
    session.show_progress(true);
    let land = measure(&args.data, args.rows)?;
    let seconds = started.elapsed().as_secs_f64();

    println!("land: {:.3} % of the Earth's surface", 100.0 * land.share);
    println!("by latitude:");
    for (i, share) in land.by_latitude.iter().enumerate() {
        let north = 90 - 10 * i as i32;
        println!(
            "  {:>4} to {:>4}  {:5.1} %  {}",
            degrees(north),
            degrees(north - 10),
            100.0 * share,
            bar(*share)
        );
    }
    println!("longitude with most land: {:.2}° E", land.longitude);
    result(&format!("{} {} {:?}", land.share, land.longitude, land.by_latitude));
    plot(&land, &args.plot).with_context(|| format!("cannot draw {}", args.plot.display()))?;
    println!("profile drawn to {}", args.plot.display());
    println!("{seconds:.2} s, at most {} MB of memory in this process", peak_memory_bytes() / 1_000_000);
    Ok(())
}

/// Builds the three results as expressions and computes them in one run: every chunk of the mask is read once.
fn measure(data: &Path, rows: Option<usize>) -> anyhow::Result<Land> {
    let ocean: Array2<bool> = Array::read_zarr(data, "mask")?;
    let latitude: Array1<f64> = Array::read_zarr(data, "lat")?;
    let longitude: Array1<f64> = Array::read_zarr(data, "lon")?;
    let (band_rows, n_columns) = (ocean.nrows() / 18, ocean.ncols());
    let n_rows = rows.unwrap_or(ocean.nrows()).min(ocean.nrows());
    let (ocean, latitude) = (ocean.slice(s![..n_rows, ..]), latitude.slice(s![..n_rows]));

    let land = (!&ocean).cast::<f64>();
    let weight = latitude.to_radians().cos();
    let cells_by_row = land.sum_axis(Axis(1));
    let area_by_row = &cells_by_row * &weight;
    let area_by_column = (&land * &weight.clone().insert_axis(Axis(1))).sum_axis(Axis(0));

    let (area_by_row, weight, area_by_column, longitude) =
        tilework::try_compute_all(&(&area_by_row, &weight, &area_by_column, &longitude))?;

    let whole = weight.sum() * n_columns as f64;
    let by_latitude = (0..n_rows / band_rows).map(|band| {
        let band = band * band_rows..(band + 1) * band_rows;
        area_by_row.slice(s![band.clone()]).sum() / (weight.slice(s![band]).sum() * n_columns as f64)
    });
    let most =
        area_by_column.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).context("the mask is empty")?;
    Ok(Land {
        share: area_by_row.sum() / whole,
        by_latitude: by_latitude.collect(),
        longitude: longitude[most.0],
    })
}

fn degrees(north: i32) -> String {
    match north {
        0 => "0°".into(),
        n if n > 0 => format!("{n}°N"),
        n => format!("{}°S", -n),
    }
}

fn bar(share: f64) -> String {
    "#".repeat((share * 40.0).round() as usize)
}

/// Draws the share of land by latitude, north at the top.
fn plot(land: &Land, file: &Path) -> anyhow::Result<()> {
    let font = dejavu::sans::regular();
    plotters::style::register_font("sans-serif", FontStyle::Normal, font)
        .map_err(|_| anyhow::anyhow!("bad font"))?;
    let root = BitMapBackend::new(file, (900, 700)).into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!("Land by latitude: {:.3} % of the Earth's surface", 100.0 * land.share);
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 26))
        .margin(20)
        .x_label_area_size(50)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..100.0, -90.0..90.0)?;
    chart
        .configure_mesh()
        .x_desc("share of land, %")
        .y_desc("latitude, degrees north")
        .y_labels(19)
        .y_label_formatter(&|y| format!("{y:.0}"))
        .label_style(("sans-serif", 16))
        .axis_desc_style(("sans-serif", 18))
        .draw()?;
    let bars = land.by_latitude.iter().enumerate().map(|(i, share)| {
        let top = 90.0 - 10.0 * i as f64;
        Rectangle::new([(0.0, top - 9.0), (100.0 * share, top - 1.0)], RGBColor(70, 120, 60).filled())
    });
    chart.draw_series(bars)?;
    root.present()?;
    Ok(())
}
