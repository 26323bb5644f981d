//! Values as people write them: sizes of memory, times. How they are shown is `tilework_expr::quantities`.
//!
//! Owns their spelling. Must not know what they are for.

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

/// The bytes of `4GiB`, `1.5G`, `800 MB`, `1073741824`.
pub fn bytes(text: &str) -> Option<u64> {
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
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
