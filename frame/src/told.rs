//! Errors of tasks as bytes, for whoever asked for a query elsewhere. Their types stay what they are; what is the cause of one
//! becomes text. Must not know who carries them.

use crate::csv::CsvError;
use crate::error::{DataError, TaskError};
use prost::{Message, Oneof};
use std::io;
use std::sync::Arc;

/// Bytes of a text in an error, at most: errors are read by people.
const TEXT_BYTES_MAX: usize = 8 << 10;

#[derive(Clone, PartialEq, Message)]
struct Told {
    #[prost(
        oneof = "Kind",
        tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23"
    )]
    kind: Option<Kind>,
    /// The display name of the stage.
    #[prost(string, tag = "30")]
    stage: String,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(string, tag = "1")]
    Payload(String),
    #[prost(message, tag = "2")]
    Memory(Memory),
    #[prost(string, tag = "3")]
    Feed(String),
    #[prost(string, tag = "4")]
    Corrupt(String),
    #[prost(message, tag = "5")]
    DiskFull(At),
    #[prost(message, tag = "6")]
    Disk(At),
    #[prost(string, tag = "7")]
    Threads(String),
    #[prost(string, tag = "8")]
    Panic(String),
    #[prost(bool, tag = "9")]
    Stopped(bool),
    #[prost(message, tag = "10")]
    CsvValue(CsvValue),
    #[prost(message, tag = "11")]
    CsvRagged(CsvRagged),
    #[prost(message, tag = "12")]
    CsvOther(At),
    #[prost(string, tag = "13")]
    DivideByZero(String),
    #[prost(string, tag = "14")]
    Overflow(String),
    #[prost(string, tag = "15")]
    Cast(String),
    #[prost(string, tag = "16")]
    NoFile(String),
    #[prost(string, tag = "17")]
    File(String),
    #[prost(string, tag = "18")]
    Other(String),
    /// The line, and why.
    #[prost(message, tag = "19")]
    Function(At),
    #[prost(message, tag = "20")]
    Written(At),
    #[prost(string, tag = "21")]
    Changed(String),
    #[prost(message, tag = "22")]
    Denied(At),
    #[prost(message, tag = "23")]
    Unreachable(At),
}

#[derive(Clone, PartialEq, Message)]
struct Memory {
    #[prost(string, tag = "1")]
    consumer: String,
    #[prost(uint64, tag = "2")]
    asked_bytes: u64,
    #[prost(uint64, tag = "3")]
    held_bytes: u64,
    #[prost(uint64, tag = "4")]
    grant_bytes: u64,
    #[prost(string, tag = "5")]
    reason: String,
}

/// A directory, a file or a line of a program, and what is wrong there.
#[derive(Clone, PartialEq, Message)]
struct At {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    reason: String,
}

#[derive(Clone, PartialEq, Message)]
struct CsvValue {
    #[prost(string, tag = "1")]
    file: String,
    #[prost(uint64, tag = "2")]
    line: u64,
    #[prost(string, tag = "3")]
    column: String,
    #[prost(string, tag = "4")]
    text: String,
    #[prost(string, tag = "5")]
    expected: String,
}

#[derive(Clone, PartialEq, Message)]
struct CsvRagged {
    #[prost(string, tag = "1")]
    file: String,
    #[prost(uint64, tag = "2")]
    line: u64,
    #[prost(uint64, tag = "3")]
    got: u64,
    #[prost(uint64, tag = "4")]
    expected: u64,
}

/// A text that is not longer than errors are.
fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn at(path: &str, reason: &str) -> At {
    At { path: cut(path), reason: cut(reason) }
}

impl TaskError {
    /// The error as bytes, with the stage that it is of, for [`TaskError::from_bytes`].
    #[must_use]
    pub fn to_bytes(&self, stage: &str) -> Vec<u8> {
        let kind = match self {
            TaskError::Payload(text) => Kind::Payload(cut(text)),
            TaskError::Memory { consumer, asked_bytes, held_bytes, grant_bytes, reason } => {
                Kind::Memory(Memory {
                    consumer: cut(consumer),
                    asked_bytes: *asked_bytes,
                    held_bytes: *held_bytes,
                    grant_bytes: *grant_bytes,
                    reason: cut(reason),
                })
            }
            TaskError::Feed(error) => Kind::Feed(cut(&error.to_string())),
            TaskError::Corrupt(text) => Kind::Corrupt(cut(text)),
            TaskError::DiskFull { dir, reason } => Kind::DiskFull(at(dir, reason)),
            TaskError::Disk { dir, reason } => Kind::Disk(at(dir, reason)),
            TaskError::Threads(error) => Kind::Threads(cut(&error.to_string())),
            TaskError::Function { line, why } => Kind::Function(at(line, why)),
            TaskError::File { path, error } => Kind::Written(at(path, &error.to_string())),
            TaskError::Data(error) => of_data(error),
            TaskError::Panic(text) => Kind::Panic(cut(text)),
            TaskError::Stopped => Kind::Stopped(true),
        };
        Told { kind: Some(kind), stage: cut(stage) }.encode_to_vec()
    }

    /// The stage and the error that bytes stand for; none where they are none of ours.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<(String, TaskError)> {
        let Told { kind, stage } = Told::decode(bytes).ok()?;
        let error = match kind? {
            Kind::Payload(text) => TaskError::Payload(text),
            Kind::Memory(Memory { consumer, asked_bytes, held_bytes, grant_bytes, reason }) => {
                TaskError::Memory { consumer, asked_bytes, held_bytes, grant_bytes, reason }
            }
            Kind::Feed(text) => {
                TaskError::Feed(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(text)))
            }
            Kind::Corrupt(text) => TaskError::Corrupt(text),
            Kind::DiskFull(At { path: dir, reason }) => TaskError::DiskFull { dir, reason },
            Kind::Disk(At { path: dir, reason }) => TaskError::Disk { dir, reason },
            Kind::Threads(text) => TaskError::Threads(Arc::new(io::Error::other(text))),
            Kind::Function(At { path: line, reason: why }) => TaskError::Function { line, why },
            Kind::Written(At { path, reason }) => {
                TaskError::File { path, error: Arc::new(io::Error::other(reason)) }
            }
            Kind::Panic(text) => TaskError::Panic(text),
            Kind::Stopped(_) => TaskError::Stopped,
            other => TaskError::Data(data(other)?),
        };
        Some((stage, error))
    }
}

fn of_data(error: &DataError) -> Kind {
    match error {
        DataError::Csv(error) => of_csv(error),
        DataError::DivideByZero(text) => Kind::DivideByZero(cut(text)),
        DataError::Overflow(text) => Kind::Overflow(cut(text)),
        DataError::Cast(text) => Kind::Cast(cut(text)),
        DataError::NoFile { path } => Kind::NoFile(cut(path)),
        DataError::Changed { path } => Kind::Changed(cut(path)),
        DataError::Denied { path, reason } => Kind::Denied(at(path, reason)),
        DataError::Unreachable { path, reason } => Kind::Unreachable(at(path, reason)),
        DataError::File(text) => Kind::File(cut(text)),
        DataError::Other(text) => Kind::Other(cut(text)),
    }
}

fn of_csv(error: &CsvError) -> Kind {
    match error {
        CsvError::Value { file, line, column, text, expected } => Kind::CsvValue(CsvValue {
            file: cut(file),
            line: *line,
            column: cut(column),
            text: cut(text),
            expected: cut(expected),
        }),
        CsvError::Ragged { file, line, got, expected } => {
            let (got, expected) = (*got as u64, *expected as u64);
            Kind::CsvRagged(CsvRagged { file: cut(file), line: *line, got, expected })
        }
        CsvError::Other { file, reason } => Kind::CsvOther(at(file, reason)),
    }
}

fn data(kind: Kind) -> Option<DataError> {
    let csv = |error| DataError::Csv(Box::new(error));
    Some(match kind {
        Kind::CsvValue(CsvValue { file, line, column, text, expected }) => {
            csv(CsvError::Value { file, line, column, text, expected })
        }
        Kind::CsvRagged(CsvRagged { file, line, got, expected }) => {
            let (got, expected) = (usize::try_from(got).ok()?, usize::try_from(expected).ok()?);
            csv(CsvError::Ragged { file, line, got, expected })
        }
        Kind::CsvOther(At { path: file, reason }) => csv(CsvError::Other { file, reason }),
        Kind::DivideByZero(text) => DataError::DivideByZero(text),
        Kind::Overflow(text) => DataError::Overflow(text),
        Kind::Cast(text) => DataError::Cast(text),
        Kind::NoFile(path) => DataError::NoFile { path },
        Kind::Changed(path) => DataError::Changed { path },
        Kind::Denied(At { path, reason }) => DataError::Denied { path, reason },
        Kind::Unreachable(At { path, reason }) => DataError::Unreachable { path, reason },
        Kind::File(text) => DataError::File(text),
        Kind::Other(text) => DataError::Other(text),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_arrive_as_what_they_were() {
        let t = || "text".to_owned();
        let csv = |e| TaskError::Data(DataError::Csv(Box::new(e)));
        let all = [
            TaskError::Payload(t()),
            TaskError::Memory { consumer: t(), asked_bytes: 1, held_bytes: 2, grant_bytes: 3, reason: t() },
            TaskError::Feed(Arc::new(io::Error::other("text"))),
            TaskError::Corrupt(t()),
            TaskError::DiskFull { dir: "/d".into(), reason: t() },
            TaskError::Disk { dir: "/d".into(), reason: t() },
            TaskError::Threads(Arc::new(io::Error::other("text"))),
            TaskError::Function { line: "src/main.rs:1:2".into(), why: t() },
            TaskError::File { path: "/f".into(), error: Arc::new(io::Error::other("text")) },
            TaskError::Panic(t()),
            TaskError::Stopped,
            csv(CsvError::Value { file: t(), line: 7, column: t(), text: t(), expected: t() }),
            csv(CsvError::Ragged { file: t(), line: 7, got: 1, expected: 2 }),
            csv(CsvError::Other { file: t(), reason: t() }),
            TaskError::Data(DataError::DivideByZero(t())),
            TaskError::Data(DataError::Overflow(t())),
            TaskError::Data(DataError::Cast(t())),
            TaskError::Data(DataError::NoFile { path: t() }),
            TaskError::Data(DataError::Changed { path: t() }),
            TaskError::Data(DataError::Denied { path: t(), reason: t() }),
            TaskError::Data(DataError::Unreachable { path: t(), reason: t() }),
            TaskError::Data(DataError::File(t())),
            TaskError::Data(DataError::Other(t())),
        ];
        for error in all {
            let (stage, came) = TaskError::from_bytes(&error.to_bytes("Sort of Scan")).unwrap();
            assert_eq!(stage, "Sort of Scan");
            assert_eq!(came.to_string(), error.to_string());
            assert_eq!(std::mem::discriminant(&came), std::mem::discriminant(&error));
            if let (TaskError::Data(came), TaskError::Data(error)) = (came, error) {
                assert_eq!(came, error);
            }
        }
        assert!(TaskError::from_bytes(b"none of ours").is_none() && TaskError::from_bytes(&[]).is_none());
        let long = TaskError::Panic("\u{fc}".repeat(TEXT_BYTES_MAX));
        assert!(long.to_bytes("").len() < TEXT_BYTES_MAX + 100);
    }
}
