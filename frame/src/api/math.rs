//! Functions of numbers. Must not know of tables.

use super::expr::{Expr, null, when};
use datafusion::arrow::datatypes::DataType;
use datafusion::functions::expr_fn as f;
use datafusion::logical_expr as df;

/// Functions of one number that DataFusion has.
macro_rules! functions {
    ($($name:ident $call:expr, $doc:literal $of:literal $gives:literal;)*) => {
        impl Expr {$(
            #[doc = $doc]
            ///
            /// ```
            /// # use tilework_frame as tilework;
            /// # use tilework::doc::prelude::*;
            #[doc = concat!("let df = from_columns([(\"x\", values([", $of, "]))])?;")]
            #[doc = concat!("assert_eq!(df.select([col(\"x\").", stringify!($name), "()])?.to_vec::<f64>(\"x\")?, [", $gives, "]);")]
            /// # Ok::<(), FrameError>(())
            /// ```
            #[must_use]
            pub fn $name(self) -> Expr {
                self.map($call)
            }
        )*}
    };
}
functions! {
    abs f::abs, "The value without its sign." "-1.5" "1.5";
    sqrt f::sqrt, "The square root." "9.0" "3.0";
    exp f::exp, "The power of e." "0.0" "1.0";
    ln f::ln, "The natural logarithm." "1.0" "0.0";
    log10 f::log10, "The logarithm to base 10." "100.0" "2.0";
    log2 f::log2, "The logarithm to base 2." "8.0" "3.0";
    floor f::floor, "The greatest whole number that is not greater." "-1.5" "-2.0";
    ceil f::ceil, "The least whole number that is not less." "-1.5" "-1.0";
    signum f::signum, "1 or -1 by the sign, and 0 of 0." "-2.5" "-1.0";
    sin f::sin, "The sine." "0.0" "0.0";
    cos f::cos, "The cosine." "0.0" "1.0";
    tan f::tan, "The tangent." "0.0" "0.0";
}

impl Expr {
    /// The value rounded to so many digits after its point, halves away from zero.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1.25, -1.25]))])?;
    /// assert_eq!(df.select([col("x").round(1)])?.to_vec::<f64>("x")?, [1.3, -1.3]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn round(self, n_digits: i32) -> Expr {
        self.map(|e| f::round(vec![e, df::lit(n_digits)]))
    }

    /// The value to this power, as a float.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([3.0]))])?;
    /// assert_eq!(df.select([col("x").pow(2.0)])?.to_vec::<f64>("x")?, [9.0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn pow(self, exponent: impl Into<Expr>) -> Expr {
        let exponent = exponent.into().inner;
        self.map(|e| f::power(e, exponent))
    }

    /// The value, or the bound that it is beyond; missing where it is.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(-5), Some(2), Some(9), None]))])?;
    /// let clipped = df.select([col("x").clip(0, 4)])?.to_vec::<Option<i64>>("x")?;
    /// assert_eq!(clipped, [Some(0), Some(2), Some(4), None]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn clip(self, low: impl Into<Expr>, high: impl Into<Expr>) -> Expr {
        let (low, high) = (low.into(), high.into());
        let name = self.name.clone();
        let clipped = when(self.clone().lt(low.clone()), low).when(self.clone().gt(high.clone()), high);
        Expr { name, ..clipped.otherwise(self) }
    }

    /// The interval between two of these bounds, which rise, that the value lies in, as a text; the upper bound is in it.
    /// Missing where it lies in none.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 10, 11, 99]))])?;
    /// let bins = df.select([col("x").cut(&[0.0, 10.0, 20.0])])?.to_vec::<Option<String>>("x")?;
    /// assert_eq!(bins[1].as_deref(), Some("(0, 10]"));
    /// assert_eq!(bins[2].as_deref(), Some("(10, 20]"));
    /// assert_eq!(bins[3], None);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn cut(self, bounds: &[f64]) -> Expr {
        self.cut_into(bounds, false)
    }

    /// The same, and whether the least bound is in the first interval.
    pub(super) fn cut_into(self, bounds: &[f64], closed: bool) -> Expr {
        let name = self.name.clone();
        let within = |(i, pair): (usize, &[f64])| {
            let (low, high) = (pair[0], pair[1]);
            let (above, open) = match closed && i == 0 {
                true => (self.clone().gt_eq(low), '['),
                false => (self.clone().gt(low), '('),
            };
            (above.and(self.clone().lt_eq(high)), format!("{open}{low}, {high}]"))
        };
        let mut bins = bounds.windows(2).enumerate().map(within);
        let Some((is, text)) = bins.next() else { return Expr { name, ..null().cast(DataType::Utf8) } };
        let cut = bins.fold(when(is, text), |cut, (is, text)| cut.when(is, text)).end();
        Expr { name, ..cut }
    }
}
