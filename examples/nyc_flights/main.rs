//! When is a flight from New York late? 336,776 flights of a year, joined with the weather, the planes and the airlines.

use anyhow::{Context, ensure};
use clap::Parser;
use plotters::coord::Shift;
use plotters::prelude::*;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tilework::dataframe::prelude::*;
use tilework::dataframe::{CsvOptions, read_csv, read_parquet};
use tilework_examples::{Where, result};

/// Computes by how many minutes flights leave late: by hour of the day, by carrier and by wind.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    place: Where,
    /// Directory of the data.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data/nycflights13"))]
    data: PathBuf,
    /// Picture to draw.
    #[arg(long, default_value = "nyc_flights.png")]
    picture: PathBuf,
}

/// Flights of the year, and those that never left.
const FLIGHTS: usize = 336_776;
const NEVER_LEFT: usize = 8255;

/// A group of flights and how late they left, minutes, on the average.
#[derive(Deserialize)]
struct Late<K> {
    key: K,
    delay: f64,
    flights: i64,
}

struct Tables {
    flights: DataFrame,
    weather: DataFrame,
    planes: DataFrame,
    airlines: DataFrame,
}

impl Tables {
    fn read(dir: &Path) -> anyhow::Result<Tables> {
        let path = |name: &str| dir.join(name).display().to_string();
        let csv = |name: &str| read_csv(path(name), &CsvOptions::default());
        let flights = read_parquet(path("flights.parquet"))?;
        Ok(Tables {
            flights,
            weather: csv("weather.csv")?,
            planes: csv("planes.csv")?,
            airlines: csv("airlines.csv")?,
        })
    }

    /// How late flights left in each group of these, in the order of the groups.
    fn late<K: serde::de::DeserializeOwned>(of: &DataFrame, by: Expr) -> anyhow::Result<Vec<Late<K>>> {
        let groups = of
            .filter(col("dep_delay").is_not_null())?
            .group_by([by.alias("key")])
            .agg([col("dep_delay").mean().alias("delay"), len().alias("flights")])?;
        Ok(groups.sort(["key"])?.rows()?)
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let session = args.place.open()?;
    let started = Instant::now();
    let tables = Tables::read(&args.data).context("reading the data")?;
    let (n, _) = tables.flights.shape()?;
    let (n_never, _) = tables.flights.filter(col("dep_time").is_null())?.shape()?;
    result(&format!("{n} flights, {n_never} never left"));
    ensure!((n, n_never) == (FLIGHTS, NEVER_LEFT), "expected {FLIGHTS} and {NEVER_LEFT}");

    let by_hour: Vec<Late<i64>> = Tables::late(&tables.flights, col("hour"))?;
    let named = tables.flights.join(&tables.airlines, ["carrier"], JoinHow::Left)?;
    let mut by_carrier: Vec<Late<String>> = Tables::late(&named, col("name"))?;
    by_carrier.sort_by(|a, b| b.delay.total_cmp(&a.delay));
    let hours = ["origin", "year", "month", "day", "hour"];
    let outside = tables.flights.join(&tables.weather, hours, JoinHow::Inner)?;
    let knots = (col("wind_speed") / 5.0).floor() * 5.0;
    let by_wind: Vec<Late<f64>> = Tables::late(&outside.filter(col("wind_speed").is_not_null())?, knots)?;

    // The planes' table has a year of its own: that of their making.
    let planes = tables.planes.select([col("tailnum"), col("year").alias("built"), col("manufacturer")])?;
    let makers =
        tables.flights.join(&planes, ["tailnum"], JoinHow::Inner)?.group_by(["manufacturer"]).agg([
            len().alias("flights"),
            col("tailnum").n_unique().alias("planes"),
            col("built").median().alias("built"),
            col("distance").sum().alias("miles"),
        ])?;
    makers.top_k(5, "flights")?.show()?;

    let worst = by_carrier.first().context("no carriers")?;
    result(&format!("{} leaves {:.3} minutes late, {} flights", worst.key, worst.delay, worst.flights));
    let late = by_hour.iter().max_by(|a, b| a.delay.total_cmp(&b.delay)).context("no hours")?;
    result(&format!("at {}:00 it is {:.3}, {} flights", late.key, late.delay, late.flights));
    draw(&args.picture, (&by_hour, &by_carrier, &by_wind))?;
    let (workers, seconds) = (session.n_workers(), started.elapsed().as_secs_f64());
    println!("drawn to {} ({workers} workers, {seconds:.2} s)", args.picture.display());
    Ok(())
}

type Results<'a> = (&'a [Late<i64>], &'a [Late<String>], &'a [Late<f64>]);

fn draw(path: &Path, (by_hour, by_carrier, by_wind): Results<'_>) -> anyhow::Result<()> {
    let font = dejavu::sans::regular();
    let registered = plotters::style::register_font("sans-serif", FontStyle::Normal, font);
    ensure!(registered.is_ok(), "the font could not be read");
    let picture = BitMapBackend::new(path, (1200, 900)).into_drawing_area();
    picture.fill(&WHITE)?;
    let (top, bottom) = picture.split_vertically(430);
    let (left, right) = top.split_horizontally(600);
    let hours: Vec<(String, f64)> = by_hour.iter().map(|l| (l.key.to_string(), l.delay)).collect();
    bars(&left, "by hour of the planned departure", &hours)?;
    let winds: Vec<(String, f64)> =
        by_wind.iter().filter(|l| l.flights >= 100).map(|l| (format!("{:.0}", l.key), l.delay)).collect();
    bars(&right, "by wind, miles an hour (100 flights at least)", &winds)?;
    let carriers: Vec<(String, f64)> = by_carrier
        .iter()
        .map(|l| (l.key.split_whitespace().next().unwrap_or_default().to_owned(), l.delay))
        .collect();
    bars(&bottom, "by carrier", &carriers)?;
    picture.present()?;
    Ok(())
}

/// A bar for each group.
fn bars(
    area: &DrawingArea<BitMapBackend<'_>, Shift>,
    title: &str,
    groups: &[(String, f64)],
) -> anyhow::Result<()> {
    let most = groups.iter().map(|(_, delay)| *delay).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("Minutes late, {title}"), ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(34)
        .y_label_area_size(48)
        .build_cartesian_2d((0..groups.len()).into_segmented(), 0.0..most * 1.1)?;
    let name = |at: &SegmentValue<usize>| match at {
        SegmentValue::CenterOf(i) => groups.get(*i).map_or_else(String::new, |(name, _)| name.clone()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(groups.len())
        .x_label_formatter(&name)
        .label_style(("sans-serif", 13))
        .draw()?;
    let bar = |(i, (_, delay)): (usize, &(String, f64))| {
        let (from, to) = (SegmentValue::Exact(i), SegmentValue::Exact(i + 1));
        let mut bar = Rectangle::new([(from, 0.0), (to, *delay)], RGBColor(70, 110, 170).filled());
        bar.set_margin(0, 0, 3, 3);
        bar
    };
    chart.draw_series(groups.iter().enumerate().map(bar))?;
    Ok(())
}
