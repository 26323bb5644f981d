//! Expressions over columns: names, literals, operators, and what an expression is called. What they mean for a table is
//! found when they are put into one. Must not know of tables.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::functions::expr_fn;
use datafusion::logical_expr::{self as df, BinaryExpr, Operator, cast, expr_fn as ops, try_cast};
use std::ops::{Add, Div, Mul, Neg, Not, Rem, Sub};
use std::sync::Arc;

/// A value for each row, made of the columns of a table; or one for many rows, where it is an aggregate.
///
/// An expression is called as the first column in it, if [`alias`](Expr::alias) does not say otherwise.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let df = from_columns([("x", values([1, 2, 3])), ("y", values([10, 20, 30]))])?;
/// let sums = df.select([(col("x") + col("y")).alias("sum")])?;
/// assert_eq!(sums.to_vec::<i64>("sum")?, [11, 22, 33]);
/// # Ok::<(), FrameError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub(crate) inner: df::Expr,
    pub(crate) name: Option<Arc<str>>,
    /// How deep it is nested.
    pub(crate) depth: u32,
}

/// The column of this name, exactly.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let df = from_columns([("FileId", values([1])), ("fileid", values([2]))])?;
/// assert_eq!(df.select([col("FileId")])?.to_vec::<i64>("FileId")?, [1]);
/// let error = df.select([col("FILEID")]).unwrap_err();
/// assert!(error.to_string().contains("did you mean"));
/// # Ok::<(), FrameError>(())
/// ```
#[must_use]
pub fn col(name: impl AsRef<str>) -> Expr {
    let name = name.as_ref();
    Expr::leaf(df::Expr::Column(Column::new_unqualified(name)), Some(name))
}

/// The same value for each row.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let df = from_columns([("x", values([1, 2]))])?;
/// let df = df.with_columns([lit("a").alias("name"), lit(0.5).alias("half")])?;
/// assert_eq!(df.to_vec::<String>("name")?, ["a", "a"]);
/// # Ok::<(), FrameError>(())
/// ```
#[must_use]
pub fn lit(value: impl Into<Expr>) -> Expr {
    value.into()
}

/// A value that is missing for each row.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let df = from_columns([("x", values([1]))])?.with_columns([null().alias("y")])?;
/// assert_eq!(df.to_vec::<Option<i64>>("y")?, [None]);
/// # Ok::<(), FrameError>(())
/// ```
#[must_use]
pub fn null() -> Expr {
    Expr::leaf(df::lit(ScalarValue::Null), None)
}

/// How many rows there are, called `len`.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let df = from_columns([("k", values(["a", "b", "a"]))])?;
/// let counts = df.group_by(["k"]).agg([len()])?.sort(["k"])?;
/// assert_eq!(counts.to_vec::<i64>("len")?, [2, 1]);
/// # Ok::<(), FrameError>(())
/// ```
#[must_use]
pub fn len() -> Expr {
    let all = datafusion::functions_aggregate::count::count_all().unalias();
    Expr::leaf(all, Some("len"))
}

/// The first value of these that is not missing.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let df = from_columns([("x", values([Some(1), None])), ("y", values([Some(7), Some(8)]))])?;
/// let both = df.select([coalesce([col("x"), col("y")]).alias("both")])?;
/// assert_eq!(both.to_vec::<i64>("both")?, [1, 8]);
/// # Ok::<(), FrameError>(())
/// ```
#[must_use]
pub fn coalesce(exprs: impl IntoIterator<Item = Expr>) -> Expr {
    Expr::of_many(exprs.into_iter().collect(), expr_fn::coalesce)
}

/// A text for each row that joins others, with something between them; what is missing is left out.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let df = from_columns([("x", values(["a", "b"])), ("y", values([Some("c"), None]))])?;
/// let both = df.select([concat_str([col("x"), col("y")], "-")])?;
/// assert_eq!(both.to_vec::<String>("x")?, ["a-c", "b"]);
/// # Ok::<(), FrameError>(())
/// ```
#[must_use]
pub fn concat_str(exprs: impl IntoIterator<Item = Expr>, separator: &str) -> Expr {
    let separator = df::lit(separator);
    Expr::of_many(exprs.into_iter().collect(), |exprs| expr_fn::concat_ws(separator, exprs))
}

/// What names a column or is an expression.
pub trait IntoColumn {
    /// The expression.
    fn into_column(self) -> Expr;
}

impl IntoColumn for Expr {
    fn into_column(self) -> Expr {
        self
    }
}

impl IntoColumn for &Expr {
    fn into_column(self) -> Expr {
        self.clone()
    }
}

impl IntoColumn for &str {
    fn into_column(self) -> Expr {
        col(self)
    }
}

impl IntoColumn for String {
    fn into_column(self) -> Expr {
        col(self)
    }
}

impl IntoColumn for &String {
    fn into_column(self) -> Expr {
        col(self)
    }
}

macro_rules! literals {
    ($($t:ty),*) => {$(
        impl From<$t> for Expr {
            fn from(value: $t) -> Expr {
                Expr::leaf(df::lit(value), None)
            }
        }

        impl From<Option<$t>> for Expr {
            fn from(value: Option<$t>) -> Expr {
                value.map_or_else(null, Expr::from)
            }
        }
    )*};
}
literals!(bool, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, &str, String);

impl From<&Expr> for Expr {
    fn from(expr: &Expr) -> Expr {
        expr.clone()
    }
}

impl From<ScalarValue> for Expr {
    fn from(value: ScalarValue) -> Expr {
        Expr::leaf(df::lit(value), None)
    }
}

macro_rules! operators {
    ($($operator:ident $method:ident $op:ident $doc:literal;)*) => {$(
        impl<T: Into<Expr>> $operator<T> for Expr {
            type Output = Expr;

            #[doc = $doc]
            fn $method(self, other: T) -> Expr {
                self.binary(Operator::$op, other.into())
            }
        }
    )*};
}
operators! {
    Add add Plus "The sum. One of whole numbers that does not fit its type is an error.";
    Sub sub Minus "The difference. One of whole numbers that does not fit its type is an error.";
    Mul mul Multiply "The product. One of whole numbers that does not fit its type is an error.";
    Div div Divide "The quotient, a float also of whole numbers; [`floor_div`](Expr::floor_div) is whole.";
    Rem rem Modulo "What a division leaves, with the sign of what is divided.";
}

macro_rules! operators_on_literals {
    ($($t:ty),*) => {$(
        operators_on_literals!($t, Add add, Sub sub, Mul mul, Div div, Rem rem);
    )*};
    ($t:ty, $($operator:ident $method:ident),*) => {$(
        impl $operator<Expr> for $t {
            type Output = Expr;

            fn $method(self, other: Expr) -> Expr {
                $operator::$method(Expr::from(self), other)
            }
        }
    )*};
}
operators_on_literals!(i32, i64, f32, f64);

impl Neg for Expr {
    type Output = Expr;

    fn neg(self) -> Expr {
        self.map(|e| df::Expr::Negative(Box::new(e)))
    }
}

impl Not for Expr {
    type Output = Expr;

    fn not(self) -> Expr {
        self.map(|e| df::Expr::Not(Box::new(e)))
    }
}

/// A comparison with a value or an expression.
macro_rules! comparisons {
    ($($method:ident $op:ident $doc:literal $kept:literal;)*) => {
        impl Expr {$(
            #[doc = $doc]
            ///
            /// ```
            /// # use tilework_frame as tilework;
            /// # use tilework::doc::prelude::*;
            /// let df = from_columns([("x", values([Some(1), Some(2), Some(3), None]))])?;
            #[doc = concat!("let kept = df.filter(col(\"x\").", stringify!($method), "(2))?;")]
            #[doc = concat!("assert_eq!(kept.to_vec::<i64>(\"x\")?, ", $kept, ");")]
            /// # Ok::<(), FrameError>(())
            /// ```
            #[must_use]
            pub fn $method(self, other: impl Into<Expr>) -> Expr {
                self.binary(Operator::$op, other.into())
            }
        )*}
    };
}
comparisons! {
    eq Eq "Whether they are equal; missing where either is." "[2]";
    not_eq NotEq "Whether they differ; missing where either is." "[1, 3]";
    lt Lt "Whether it is less; missing where either is." "[1]";
    lt_eq LtEq "Whether it is less or equal; missing where either is." "[1, 2]";
    gt Gt "Whether it is greater; missing where either is." "[3]";
    gt_eq GtEq "Whether it is greater or equal; missing where either is." "[2, 3]";
}

impl Expr {
    pub(crate) fn leaf(inner: df::Expr, name: Option<&str>) -> Expr {
        Expr { inner, name: name.map(Arc::from), depth: 1 }
    }

    /// Another one around it.
    pub(crate) fn map(self, wrap: impl FnOnce(df::Expr) -> df::Expr) -> Expr {
        Expr { inner: wrap(self.inner), name: self.name, depth: self.depth + 1 }
    }

    /// One of several, called as the first that has a name.
    pub(crate) fn of_many(exprs: Vec<Expr>, make: impl FnOnce(Vec<df::Expr>) -> df::Expr) -> Expr {
        let depth = exprs.iter().map(|e| e.depth).max().unwrap_or(0) + 1;
        let name = exprs.iter().find_map(|e| e.name.clone());
        Expr { inner: make(exprs.into_iter().map(|e| e.inner).collect()), name, depth }
    }

    pub(crate) fn binary(self, op: Operator, other: Expr) -> Expr {
        let depth = self.depth.max(other.depth) + 1;
        let (left, right) = (Box::new(self.inner), Box::new(other.inner));
        Expr {
            inner: df::Expr::BinaryExpr(BinaryExpr { left, op, right }),
            name: self.name.or(other.name),
            depth,
        }
    }

    /// What it is called in a table.
    pub(crate) fn output_name(&self) -> &str {
        self.name.as_deref().unwrap_or("literal")
    }

    /// The same under another name.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2]))])?;
    /// assert_eq!(df.select([(col("x") * 2).alias("twice")])?.columns(), ["twice"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn alias(self, name: impl AsRef<str>) -> Expr {
        Expr { name: Some(Arc::from(name.as_ref())), ..self }
    }

    /// Whether both are true.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3, 4]))])?;
    /// assert_eq!(df.filter(col("x").gt(1).and(col("x").lt(4)))?.to_vec::<i64>("x")?, [2, 3]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn and(self, other: impl Into<Expr>) -> Expr {
        self.binary(Operator::And, other.into())
    }

    /// Whether one of them is true.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3, 4]))])?;
    /// assert_eq!(df.filter(col("x").lt(2).or(col("x").gt(3)))?.to_vec::<i64>("x")?, [1, 4]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn or(self, other: impl Into<Expr>) -> Expr {
        self.binary(Operator::Or, other.into())
    }

    /// The quotient rounded down: whole for whole numbers, for which a division by zero is an error.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([7, -7]))])?;
    /// assert_eq!(df.select([col("x").floor_div(2)])?.to_vec::<i64>("x")?, [3, -4]);
    /// assert_eq!(df.select([col("x") / 2])?.to_vec::<f64>("x")?, [3.5, -3.5]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn floor_div(self, other: impl Into<Expr>) -> Expr {
        Expr::of_many(vec![self, other.into()], |args| crate::functions::floor_div().call(args))
    }

    /// Whether it is missing. NaN is a value, and is not.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1.0), None, Some(f64::NAN)]))])?;
    /// assert_eq!(df.select([col("x").is_null()])?.to_vec::<bool>("x")?, [false, true, false]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn is_null(self) -> Expr {
        self.map(df::Expr::is_null)
    }

    /// Whether it is not missing.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1), None]))])?;
    /// assert_eq!(df.select([col("x").is_not_null()])?.to_vec::<bool>("x")?, [true, false]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn is_not_null(self) -> Expr {
        self.map(df::Expr::is_not_null)
    }

    /// Whether it is NaN; missing where it is.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1.0), None, Some(f64::NAN)]))])?;
    /// assert_eq!(df.select([col("x").is_nan()])?.to_vec::<Option<bool>>("x")?, [Some(false), None, Some(true)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn is_nan(self) -> Expr {
        self.map(expr_fn::isnan)
    }

    /// Whether it is one of these. For the rows of another table see [`DataFrame::join`](crate::DataFrame::join) with
    /// [`JoinHow::Semi`](crate::JoinHow::Semi).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3]))])?;
    /// assert_eq!(df.filter(col("x").is_in([1, 3]))?.to_vec::<i64>("x")?, [1, 3]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn is_in<T: Into<Expr>>(self, list: impl IntoIterator<Item = T>) -> Expr {
        let list = list.into_iter().map(|e| e.into().inner).collect();
        self.map(|e| ops::in_list(e, list, false))
    }

    /// Whether it is at least the one and at most the other.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3, 4]))])?;
    /// assert_eq!(df.filter(col("x").between(2, 3))?.to_vec::<i64>("x")?, [2, 3]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn between(self, low: impl Into<Expr>, high: impl Into<Expr>) -> Expr {
        let (low, high) = (low.into().inner, high.into().inner);
        self.map(|e| e.between(low, high))
    }

    /// The value as another type. What that type cannot hold is an error.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(["1", "2"]))])?;
    /// assert_eq!(df.select([col("x").cast(DataType::Int64)])?.to_vec::<i64>("x")?, [1, 2]);
    /// let bad = from_columns([("x", values(["1", "two"]))])?;
    /// assert!(bad.select([col("x").cast(DataType::Int64)])?.collect().is_err());
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn cast(self, data_type: DataType) -> Expr {
        self.map(|e| cast(e, data_type))
    }

    /// The value as another type, missing where that cannot hold it.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(["1", "two"]))])?;
    /// let numbers = df.select([col("x").try_cast(DataType::Int64)])?;
    /// assert_eq!(numbers.to_vec::<Option<i64>>("x")?, [Some(1), None]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn try_cast(self, data_type: DataType) -> Expr {
        self.map(|e| try_cast(e, data_type))
    }

    /// The value, or this one where it is missing.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1), None]))])?;
    /// assert_eq!(df.select([col("x").fill_null(0)])?.to_vec::<i64>("x")?, [1, 0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn fill_null(self, value: impl Into<Expr>) -> Expr {
        Expr::of_many(vec![self, value.into()], expr_fn::coalesce)
    }

    /// The value, or this one where it is NaN.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1.0, f64::NAN]))])?;
    /// assert_eq!(df.select([col("x").fill_nan(null())])?.to_vec::<Option<f64>>("x")?, [Some(1.0), None]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn fill_nan(self, value: impl Into<Expr>) -> Expr {
        let value = value.into();
        when(self.clone().is_nan().fill_null(false), value).otherwise(self)
    }

    /// The value, or for each of these pairs the second where it is the first.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(["a", "b", "c"]))])?;
    /// let other = df.select([col("x").replace([("a", "A"), ("b", "B")])])?;
    /// assert_eq!(other.to_vec::<String>("x")?, ["A", "B", "c"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn replace<A: Into<Expr>, B: Into<Expr>>(self, pairs: impl IntoIterator<Item = (A, B)>) -> Expr {
        let pair = |(old, new): (A, B)| (Box::new(old.into().inner), Box::new(new.into().inner));
        let pairs: Vec<_> = pairs.into_iter().map(pair).collect();
        if pairs.is_empty() {
            return self;
        }
        self.map(|e| df::Expr::Case(df::Case::new(Some(Box::new(e.clone())), pairs, Some(Box::new(e)))))
    }
}

/// A choice by conditions, the first that is true.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let df = from_columns([("x", values([-2, 0, 5]))])?;
/// let sign = when(col("x").lt(0), "less").when(col("x").gt(0), "more").otherwise("zero");
/// let df = df.with_columns([sign.alias("sign")])?;
/// assert_eq!(df.to_vec::<String>("sign")?, ["less", "zero", "more"]);
/// # Ok::<(), FrameError>(())
/// ```
#[must_use]
pub fn when(condition: Expr, then: impl Into<Expr>) -> When {
    When { cases: vec![(condition, then.into())] }
}

/// A choice that is being written; see [`when`].
#[derive(Debug, Clone)]
pub struct When {
    cases: Vec<(Expr, Expr)>,
}

impl When {
    /// Another condition, for where those before are not true; see [`when()`].
    #[must_use]
    pub fn when(mut self, condition: Expr, then: impl Into<Expr>) -> When {
        self.cases.push((condition, then.into()));
        self
    }

    /// The value where no condition is true; see [`when()`].
    #[must_use]
    pub fn otherwise(self, value: impl Into<Expr>) -> Expr {
        let value = value.into();
        let (conditions, values): (Vec<Expr>, Vec<Expr>) = self.cases.into_iter().unzip();
        let depth = conditions.iter().chain(&values).map(|e| e.depth).fold(value.depth, u32::max) + 1;
        let name = values.iter().chain([&value]).find_map(|e| e.name.clone());
        let cases = conditions.into_iter().zip(values).map(|(c, v)| (Box::new(c.inner), Box::new(v.inner)));
        let inner = df::Expr::Case(df::Case::new(None, cases.collect(), Some(Box::new(value.inner))));
        Expr { inner, name, depth }
    }

    /// Nothing where no condition is true; see [`when()`].
    #[must_use]
    pub fn end(self) -> Expr {
        self.otherwise(null())
    }
}
