//! Bytes, counts and times as people read them: one way for pages, tables, logs and errors.
//!
//! Owns units and digits. Must not know what is measured.

use bytesize::ByteSize;
use std::time::Duration;

/// Digits of a number of bytes or seconds that count.
const DIGITS: u32 = 3;

/// Units of memory, as bytes. Slurm's single letters are powers of 1024, as in `--mem=4G`.
const UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("B", 1),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("T", 1 << 40),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Bytes in decimal units, with three digits: `999 B`, `8.00 kB`, `16.8 MB`.
///
/// ```
/// assert_eq!(tilework_plan::quantities::bytes(16 << 20), "16.8 MB");
/// ```
#[must_use]
pub fn bytes(n: u64) -> String {
    let power = n.max(1).ilog10().saturating_sub(DIGITS - 1);
    let step = 10u64.pow(power);
    // What is rounded to 1000 of a unit is one of the next.
    let rounded = n.saturating_add(step / 2) / step * step;
    let decimals = (DIGITS - 1 - rounded.max(1).ilog10() % DIGITS) as usize;
    format!("{:.decimals$}", ByteSize::b(rounded).display().si())
}

/// A count with its thousands apart: `1,234,567`.
///
/// ```
/// assert_eq!(tilework_plan::quantities::count(1_234_567), "1,234,567");
/// ```
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A count and what is counted: `1 worker`, `1,200 tasks`.
///
/// ```
/// assert_eq!(tilework_plan::quantities::counted(2, "worker"), "2 workers");
/// ```
#[must_use]
pub fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A time given in microseconds: `7 µs`, `1.5 ms`, `2.35 s`, `2m 5s`, `3h 20m 7s`.
///
/// ```
/// assert_eq!(tilework_plan::quantities::time_us(2_345_678), "2.35 s");
/// ```
#[must_use]
pub fn time_us(us: u64) -> String {
    match us {
        0..1000 => format!("{us} µs"),
        1000..999_950 => format!("{:.1} ms", us as f64 / 1e3),
        999_950..9_995_000 => format!("{:.2} s", us as f64 / 1e6),
        9_995_000..59_950_000 => format!("{:.1} s", us as f64 / 1e6),
        _ => humantime::format_duration(Duration::from_secs(us.saturating_add(500_000) / 1_000_000))
            .to_string(),
    }
}

/// A time: [`time_us`] of a [`Duration`].
#[must_use]
pub fn time(span: Duration) -> String {
    time_us(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

/// The bytes of a size as people and Slurm write it: `4GiB`, `1.5G`, `800 MB`, `1073741824`; none where it is no size.
///
/// ```
/// assert_eq!(tilework_plan::quantities::bytes_in("1.5 GiB"), Some(3 << 29));
/// ```
#[must_use]
pub fn bytes_in(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim());
    let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(*factor);
    }
    let value = number.parse::<f64>().ok()? * *factor as f64;
    (value.is_finite() && value < u64::MAX as f64).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_the_right_unit() {
        for (n, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_994, "9.99 kB"),
            (9_996, "10.0 kB"),
            (99_960, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (1_000_000, "1.00 MB"),
            (16 << 20, "16.8 MB"),
            (1_000_000_000, "1.00 GB"),
            (10u64.pow(12), "1.00 TB"),
            (10u64.pow(15), "1.00 PB"),
            (10u64.pow(18), "1.00 EB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(n), shown, "{n}");
        }
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1, 2000].map(|n| counted(n, "task")), ["1 task", "2,000 tasks"]);
        let times = [7, 1500, 999_949, 999_950, 2_345_678, 59_949_999, 59_950_000, 12_007_400_000];
        let shown = ["7 µs", "1.5 ms", "999.9 ms", "1.00 s", "2.35 s", "59.9 s", "1m", "3h 20m 7s"];
        assert_eq!(times.map(time_us), shown);
    }

    #[test]
    fn sizes_are_read_as_people_and_slurm_write_them() {
        for (text, expected) in [
            ("4GiB", Some(4 << 30)),
            ("4g", Some(4 << 30)),
            ("1.5 GiB", Some(3 << 29)),
            ("800MB", Some(800_000_000)),
            ("17", Some(17)),
            ("4 apples", None),
            ("GiB", None),
            ("", None),
            ("99999999999999T", None),
            ("1.2.3", None),
        ] {
            assert_eq!(bytes_in(text), expected, "{text}");
        }
    }
}
