//! Seconds over bytes per chunk, both logarithmic: a panel for each session, a line for each workload.

use crate::table;
use plotters::coord::Shift;
use plotters::coord::combinators::{LogCoord, WithKeyPoints};
use plotters::prelude::*;
use std::path::Path;

const PANEL: (u32, u32) = (760, 640);
const TITLE_HEIGHT: u32 = 80;
const LEGEND_ROW: u32 = 28;
const LEGEND_ENTRY: u32 = 240;
/// Colours that people with any colour vision can tell apart (Okabe and Ito), without the yellow.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];

/// One panel: all workloads on one session.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Stands above it.
    pub title: String,
    /// Its lines; the same labels in the same order in every panel.
    pub lines: Vec<Line>,
}

/// One workload.
#[derive(Clone, Debug)]
pub struct Line {
    /// Stands in the legend.
    pub label: String,
    /// In order of bytes; what failed is left out.
    pub points: Vec<Point>,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Bytes per chunk.
    pub bytes: u64,
    /// Seconds.
    pub seconds: f64,
    /// Whether it is in the range around the best in which the size does not matter: drawn filled.
    pub good: bool,
}

type Log = WithKeyPoints<LogCoord<f64>>;

/// Draws the panels beside each other, with one legend below, into a PNG file.
///
/// # Errors
/// Nothing to draw; a file that cannot be written.
pub fn draw(file: &Path, title: &str, subtitle: &str, panels: &[Panel]) -> anyhow::Result<()> {
    let points: Vec<Point> = panels.iter().flat_map(|p| &p.lines).flat_map(|l| &l.points).copied().collect();
    let (Some(x), Some(y)) =
        (around(points.iter().map(|p| p.bytes as f64)), around(points.iter().map(|p| p.seconds)))
    else {
        anyhow::bail!("nothing to draw: no measurement succeeded");
    };
    let font = dejavu::sans::regular();
    plotters::style::register_font("sans-serif", FontStyle::Normal, font)
        .map_err(|_| anyhow::anyhow!("bad font"))?;
    let width = PANEL.0 * panels.len() as u32;
    let per_row = ((width - LEGEND_ENTRY / 4) / LEGEND_ENTRY).max(1);
    let legend_height = (panels[0].lines.len() as u32).div_ceil(per_row) * LEGEND_ROW + LEGEND_ROW / 2;
    let size = (width, TITLE_HEIGHT + PANEL.1 + legend_height);
    let root = BitMapBackend::new(file, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (top, rest) = root.split_vertically(TITLE_HEIGHT);
    let (middle, bottom) = rest.split_vertically(PANEL.1);
    top.draw(&Text::new(title, (20, 16), ("sans-serif", 26)))?;
    top.draw(&Text::new(subtitle, (20, 52), ("sans-serif", 17)))?;
    let mut sizes: Vec<u64> = points.iter().map(|p| p.bytes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for (panel, area) in panels.iter().zip(middle.split_evenly((1, panels.len()))) {
        draw_panel(&area, panel, &sizes, (x.clone(), y.clone()))?;
    }
    legend(&bottom, &panels[0].lines, per_row)?;
    root.present()?;
    Ok(())
}

fn draw_panel(
    area: &DrawingArea<BitMapBackend<'_>, Shift>,
    panel: &Panel,
    sizes: &[u64],
    (x, y): (std::ops::Range<f64>, std::ops::Range<f64>),
) -> anyhow::Result<()> {
    let ticks = sizes.iter().map(|&b| b as f64).collect();
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 22))
        .margin(15)
        .x_label_area_size(55)
        .y_label_area_size(80)
        .build_cartesian_2d(
            x.log_scale().with_key_points(ticks),
            y.clone().log_scale().with_key_points(decades(&y)),
        )?;
    chart
        .configure_mesh()
        .x_desc("bytes per chunk")
        .y_desc("seconds")
        .x_label_formatter(&|b| table::bytes(*b as u64))
        .y_label_formatter(&|s| format!("{s}"))
        .label_style(("sans-serif", 16))
        .axis_desc_style(("sans-serif", 18))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (i, line) in panel.lines.iter().enumerate() {
        draw_line(&mut chart, line, COLOURS[i % COLOURS.len()])?;
    }
    Ok(())
}

fn draw_line<'a>(
    chart: &mut ChartContext<'a, BitMapBackend<'a>, Cartesian2d<Log, Log>>,
    line: &Line,
    colour: RGBColor,
) -> anyhow::Result<()> {
    let at = |p: &Point| (p.bytes as f64, p.seconds);
    chart.draw_series(LineSeries::new(line.points.iter().map(at), colour.stroke_width(2)))?;
    chart.draw_series(line.points.iter().map(|p| Circle::new(at(p), 6, colour.filled())))?;
    let hollow = line.points.iter().filter(|p| !p.good);
    chart.draw_series(hollow.map(|p| Circle::new(at(p), 4, WHITE.filled())))?;
    Ok(())
}

/// Names the lines from left to right, so many in a row.
fn legend(area: &DrawingArea<BitMapBackend<'_>, Shift>, lines: &[Line], per_row: u32) -> anyhow::Result<()> {
    for (i, line) in (0..).zip(lines) {
        let x = (LEGEND_ENTRY / 4 + i % per_row * LEGEND_ENTRY) as i32;
        let y = (LEGEND_ROW / 2 + i / per_row * LEGEND_ROW) as i32;
        let colour = COLOURS[i as usize % COLOURS.len()];
        area.draw(&PathElement::new([(x, y), (x + 36, y)], colour.stroke_width(2)))?;
        area.draw(&Circle::new((x + 18, y), 6, colour.filled()))?;
        area.draw(&Text::new(line.label.as_str(), (x + 46, y - 6), ("sans-serif", 18)))?;
    }
    Ok(())
}

/// A range around positive values, with room on both sides of a logarithmic axis; `None` of nothing.
fn around(values: impl Iterator<Item = f64>) -> Option<std::ops::Range<f64>> {
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
    (low <= high && low > 0.0).then_some(low / 1.4..high * 1.4)
}

/// 1, 2 and 5 times the powers of ten within a range.
fn decades(range: &std::ops::Range<f64>) -> Vec<f64> {
    let powers = range.start.log10().floor() as i32..=range.end.log10().ceil() as i32;
    let marks = powers.flat_map(|p| [1, 2, 5].map(|m| format!("{m}e{p}").parse::<f64>().unwrap_or(0.0)));
    marks.filter(|m| range.contains(m)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        assert_eq!(decades(&(0.015..0.6)), [0.02, 0.05, 0.1, 0.2, 0.5]);
        assert_eq!(decades(&(0.9..2.5)), [1.0, 2.0]);
    }

    #[test]
    fn a_single_value_has_a_range_around_it() {
        let range = around([2.0].into_iter()).unwrap();
        assert!(range.start < 2.0 && range.end > 2.0);
        assert_eq!(around(std::iter::empty()), None);
    }

    #[test]
    fn a_plot_is_drawn_and_nothing_is_refused() {
        let file = std::env::temp_dir().join(format!("tilework-plot-{}.png", std::process::id()));
        let points =
            (0..4).map(|i| Point { bytes: 500_000 << (2 * i), seconds: 0.1 / f64::from(i + 1), good: i > 1 });
        let line = Line { label: "sum".into(), points: points.collect() };
        let panel = |n: usize| Panel { title: format!("{n}"), lines: vec![line.clone(); n] };
        draw(&file, "test", "of a test", &[panel(3), panel(3)]).unwrap();
        assert!(std::fs::metadata(&file).unwrap().len() > 1000);
        std::fs::remove_file(&file).unwrap();
        let empty = Panel { title: String::new(), lines: vec![] };
        assert!(
            draw(&file, "test", "of a test", &[empty]).unwrap_err().to_string().contains("nothing to draw")
        );
    }
}
