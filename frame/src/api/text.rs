//! Functions of texts and of times, each under a name of its own: `col("x").str()`, `col("t").dt()`. Must not know of
//! tables.

use super::expr::Expr;
use crate::functions;
use datafusion::arrow::datatypes::DataType;
use datafusion::functions::expr_fn as f;
use datafusion::functions::regex::expr_fn as regex;
use datafusion::functions_nested::expr_fn as nested;
use datafusion::logical_expr::{self as df, cast};

/// Functions of texts; see [`Expr::str`].
#[derive(Debug, Clone)]
pub struct Text(Expr);

/// Functions of dates and times; see [`Expr::dt`].
#[derive(Debug, Clone)]
pub struct Time(pub(super) Expr);

impl Expr {
    /// Functions of the value as a text.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(["ab", "Cd"]))])?;
    /// assert_eq!(df.select([col("x").str().to_uppercase()])?.to_vec::<String>("x")?, ["AB", "CD"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn str(self) -> Text {
        Text(self)
    }

    /// Functions of the value as a date or a time.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("t", values(["2024-02-29"]))])?;
    /// let year = df.select([col("t").str().to_date().dt().year()])?;
    /// assert_eq!(year.to_vec::<i64>("t")?, [2024]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn dt(self) -> Time {
        Time(self)
    }
}

/// Functions of one text.
macro_rules! texts {
    ($($name:ident($($arg:ident: $t:ty = $given:literal),*) $call:expr, $doc:literal $of:literal $as:literal $gives:literal;)*) => {
        impl Text {$(
            #[doc = $doc]
            ///
            /// ```
            /// # use tilework_frame as tilework;
            /// # use tilework::doc::prelude::*;
            #[doc = concat!("let df = from_columns([(\"x\", values([", $of, "]))])?;")]
            #[doc = concat!("let df = df.select([col(\"x\").str().", stringify!($name), "(" $(, $given, ", ")* , ")])?;")]
            #[doc = concat!("assert_eq!(df.to_vec::<", $as, ">(\"x\")?, [", $gives, "]);")]
            /// # Ok::<(), FrameError>(())
            /// ```
            #[must_use]
            pub fn $name(self $(, $arg: $t)*) -> Expr {
                let call: fn(df::Expr $(, $t)*) -> df::Expr = $call;
                self.0.map(|e| call(e $(, $arg)*))
            }
        )*}
    };
}
texts! {
    to_uppercase() |e| f::upper(e), "The text in capitals." "\"ab\"" "String" "\"AB\"";
    to_lowercase() |e| f::lower(e), "The text in small letters." "\"AB\"" "String" "\"ab\"";
    strip() |e| f::trim(vec![e]), "The text without blanks at its ends." "\" ab \"" "String" "\"ab\"";
    reverse() |e| f::reverse(e), "The text from its end." "\"abc\"" "String" "\"cba\"";
    len_chars() |e| f::character_length(e), "How many characters it has." "\"né\"" "i64" "2";
    len_bytes() |e| f::octet_length(e), "How many bytes it has." "\"né\"" "i64" "3";
    starts_with(start: &str = "\"a\"") |e, s| f::starts_with(e, df::lit(s)), "Whether it begins so." "\"ab\", \"ba\"" "bool" "true, false";
    ends_with(end: &str = "\"a\"") |e, s| f::ends_with(e, df::lit(s)), "Whether it ends so." "\"ab\", \"ba\"" "bool" "false, true";
    contains(regex: &str = "\"^a.c\"") |e, s| regex::regexp_like(e, df::lit(s), None), "Whether a regular expression is found in it." "\"abc\", \"cba\"" "bool" "true, false";
    contains_literal(text: &str = "\"a.\"") |e, s| f::contains(e, df::lit(s)), "Whether a text is found in it." "\"a.b\", \"ab\"" "bool" "true, false";
    replace(regex: &str = "\"[0-9]\"", with: &str = "\"x\"") |e, s, w| regex::regexp_replace(e, df::lit(s), df::lit(w), None), "The text with the first place that a regular expression finds replaced." "\"a12\"" "String" "\"ax2\"";
    replace_all(regex: &str = "\"[0-9]\"", with: &str = "\"x\"") |e, s, w| regex::regexp_replace(e, df::lit(s), df::lit(w), Some(df::lit("g"))), "The text with all places that a regular expression finds replaced." "\"a12\"" "String" "\"axx\"";
    extract(regex: &str = "\"([a-z]+)([0-9]+)\"", group: i64 = "2") |e, s, n| nested::array_element(regex::regexp_match(e, df::lit(s), None), df::lit(n)), "What a group of a regular expression, counted from 1, finds; missing where it finds nothing." "\"ab12\", \"-\"" "Option<String>" "Some(\"12\".to_owned()), None";
    split(separator: &str = "\",\"") |e, s| datafusion::functions_nested::string::string_to_array_udf().call(vec![e, df::lit(s)]), "The parts between separators, as a list." "\"a,b\"" "Vec<String>" "vec![\"a\".to_owned(), \"b\".to_owned()]";
    slice(offset: u32 = "1", n_chars: u32 = "2") |e, from, n| f::substring(e, df::lit(i64::from(from) + 1), df::lit(i64::from(n))), "So many characters from an offset, which counts from 0." "\"abcd\"" "String" "\"bc\"";
    pad_start(n_chars: i64 = "3", fill: &str = "\"0\"") |e, n, s| f::lpad(vec![e, df::lit(n), df::lit(s)]), "The text filled up at its start to so many characters; what is longer is cut." "\"7\"" "String" "\"007\"";
    pad_end(n_chars: i64 = "3", fill: &str = "\".\"") |e, n, s| f::rpad(vec![e, df::lit(n), df::lit(s)]), "The text filled up at its end to so many characters; what is longer is cut." "\"7\"" "String" "\"7..\"";
}

impl Text {
    /// The date that the text says: `2024-12-31`, `2024/12/31`, `20241231`, or one of those before a time. Another text
    /// is an error.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(["2024-12-31"]))])?;
    /// let day = df.select([col("x").str().to_date().dt().ordinal_day()])?;
    /// assert_eq!(day.to_vec::<i64>("x")?, [366]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn to_date(self) -> Expr {
        self.to_datetime(None, true).cast(DataType::Date32)
    }

    /// The time that the text says, in microseconds and without a zone: in a format of `strftime`, or in one of those of
    /// ISO 8601, with or without seconds, and dates alone. With `strict` another text is an error, else it is missing.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(["31/12/2024 10:30", "?"]))])?;
    /// let times = df.select([col("x").str().to_datetime(Some("%d/%m/%Y %H:%M"), false)])?;
    /// assert_eq!(times.select([col("x").dt().hour()])?.to_vec::<Option<i64>>("x")?, [Some(10), None]);
    /// assert!(df.select([col("x").str().to_datetime(None, true)])?.collect().is_err());
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn to_datetime(self, format: Option<&str>, strict: bool) -> Expr {
        let (format, strict) = (df::lit(format.unwrap_or("")), df::lit(strict));
        self.0.map(|e| functions::to_datetime().call(vec![e, format, strict]))
    }
}

/// Parts of a time.
macro_rules! parts {
    ($($name:ident $part:literal $doc:literal $gives:literal;)*) => {
        impl Time {$(
            #[doc = $doc]
            ///
            /// ```
            /// # use tilework_frame as tilework;
            /// # use tilework::doc::prelude::*;
            /// let df = from_columns([("t", values(["2024-12-31 10:20:30"]))])?;
            /// let times = df.select([col("t").str().to_datetime(None, true)])?;
            #[doc = concat!("let part = times.select([col(\"t\").dt().", stringify!($name), "()])?;")]
            #[doc = concat!("assert_eq!(part.to_vec::<i64>(\"t\")?, [", $gives, "]);")]
            /// # Ok::<(), FrameError>(())
            /// ```
            #[must_use]
            pub fn $name(self) -> Expr {
                self.0.map(|e| f::date_part(df::lit($part), e))
            }
        )*}
    };
}
parts! {
    year "year" "The year." "2024";
    quarter "quarter" "The quarter, from 1." "4";
    month "month" "The month, from 1." "12";
    week "week" "The week of the year after ISO 8601." "1";
    day "day" "The day of the month, from 1." "31";
    ordinal_day "doy" "The day of the year, from 1." "366";
    weekday "isodow" "The day of the week after ISO 8601: Monday is 1, Sunday is 7." "2";
    hour "hour" "The hour." "10";
    minute "minute" "The minute." "20";
    second "second" "The second." "30";
}

impl Time {
    /// The day, without the time.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("t", values(["2024-12-31 10:20:30"]))])?;
    /// let day = df.select([col("t").str().to_datetime(None, true).dt().date()])?;
    /// assert_eq!(day.schema().field(0).data_type(), &DataType::Date32);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn date(self) -> Expr {
        self.0.map(|e| cast(e, DataType::Date32))
    }

    /// The time at which the `hour`, `day`, `week`, `month`, `quarter` or `year` that it lies in began.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("t", values(["2024-12-31 10:20:30"]))])?;
    /// let month = df.select([col("t").str().to_datetime(None, true).dt().truncate("month")])?;
    /// assert_eq!(month.select([col("t").dt().day()])?.to_vec::<i64>("t")?, [1]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn truncate(self, to: &str) -> Expr {
        let to = df::lit(to);
        self.0.map(|e| f::date_trunc(to, e))
    }

    /// The time as a text, in a format of `strftime`.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("t", values(["2024-12-31 10:20:30"]))])?;
    /// let texts = df.select([col("t").str().to_datetime(None, true).dt().format("%d.%m.%Y")])?;
    /// assert_eq!(texts.to_vec::<String>("t")?, ["31.12.2024"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn format(self, format: &str) -> Expr {
        let format = df::lit(format);
        self.0.map(|e| f::to_char(e, format))
    }
}
