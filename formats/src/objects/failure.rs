//! What went wrong with a request, said so that the reader can act on it.

use crate::FormatError;
use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};
use std::env;
use std::time::Duration;

/// How long a request is tried again that fails for reasons which may pass.
pub(super) const TRIED_FOR: Duration = Duration::from_secs(8);

/// What is in the URLs of servers that give machines of a cloud their credentials: asked where the environment has none.
const METADATA: [&str; 4] = ["/latest/api/token", "/latest/meta-data", "169.254.170.2", "computeMetadata"];
/// The most characters of an answer that are shown.
const SHOWN_MAX: usize = 300;

/// What the failure of a request about `url` means.
#[must_use]
pub fn error(url: &str, error: &Error) -> FormatError {
    let path = url.to_owned();
    let text = error.to_string();
    let is = |code: u16| status(&text) == Some(code);
    let unreachable = matches!(
        http(error).map(HttpError::kind),
        Some(
            HttpErrorKind::Connect
                | HttpErrorKind::Timeout
                | HttpErrorKind::Request
                | HttpErrorKind::Interrupted
        )
    );
    match error {
        _ if METADATA.iter().any(|part| text.contains(part)) => {
            let reason = format!("no credentials were found: {}", looked_for(url));
            FormatError::Denied { path, reason }
        }
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => denied(path, &text),
        _ if is(401) || is(403) => denied(path, &text),
        _ if text.contains("NoSuchBucket") => FormatError::NoBucket { path },
        Error::NotFound { .. } => FormatError::Missing { path },
        _ if is(404) => FormatError::Missing { path },
        Error::AlreadyExists { .. } | Error::Precondition { .. } => {
            FormatError::Exists { path, reason: "an object, which has come meanwhile".to_owned() }
        }
        _ if unreachable => FormatError::Unreachable { path, reason: cause(error) },
        _ => FormatError::Object { path, reason: shortened(&text) },
    }
}

/// Whether a server sends files whole alone.
pub(super) fn no_ranges(error: &Error) -> bool {
    error.to_string().contains("Range request not supported")
}

fn denied(path: String, text: &str) -> FormatError {
    let said = code(text).map_or(String::new(), |code| format!(" (`{code}`)"));
    let status = status(text).unwrap_or(403);
    let reason = format!("the server answered {status}{said}; {}", looked_for(&path));
    FormatError::Denied { path, reason }
}

/// Which variables of the environment have to do with who may read, and whether they are there; never what they say.
fn looked_for(url: &str) -> String {
    let (names, public): (&[&str], _) = match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("gs") => (
            &["GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"],
            "`GOOGLE_SKIP_SIGNATURE=true`",
        ),
        Some("http" | "https") => return "credentials of HTTP servers are not supported".to_owned(),
        _ => (
            &[
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
                "AWS_WEB_IDENTITY_TOKEN_FILE",
            ],
            "`AWS_SKIP_SIGNATURE=true`",
        ),
    };
    let (set, unset): (Vec<_>, Vec<_>) = names
        .iter()
        .map(|n| format!("`{n}`"))
        .partition(|n| env::var_os(n.trim_matches('`')).is_some_and(|value| !value.is_empty()));
    let is =
        |names: Vec<String>, what: &str| (!names.is_empty()).then(|| format!("{} {what}", names.join(", ")));
    let said: Vec<String> = [is(set, "set"), is(unset, "not set")].into_iter().flatten().collect();
    format!("in this process's environment: {}; what is public is read with {public}", said.join("; "))
}

/// The HTTP error within an error.
fn http(error: &Error) -> Option<&HttpError> {
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = at {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return Some(http);
        }
        at = error.source();
    }
    None
}

/// The innermost error's text.
fn cause(error: &Error) -> String {
    let mut at: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = at.source() {
        at = source;
    }
    shortened(&at.to_string())
}

/// The status of an answer that a text quotes.
fn status(text: &str) -> Option<u16> {
    let (_, behind) = text.split_once("status code: ")?;
    behind.get(..3)?.parse().ok()
}

/// The code of an error in XML, as stores say it.
fn code(text: &str) -> Option<&str> {
    let (_, behind) = text.split_once("<Code>")?;
    Some(behind.split_once("</Code>")?.0)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> FormatError {
        error("s3://bucket/key", &Error::Generic { store: "S3", source: text.to_owned().into() })
    }

    #[test]
    fn answers_are_told_apart() {
        let answer = |status: &str, code: &str| {
            said(&format!(
                "Server returned non-2xx status code: {status}: <Error><Code>{code}</Code></Error>"
            ))
        };
        let denied = answer("403 Forbidden", "AccessDenied");
        let text = denied.to_string();
        assert!(matches!(denied, FormatError::Denied { .. }), "{text}");
        assert!(text.contains("403 (`AccessDenied`)") && text.contains("`AWS_ACCESS_KEY_ID`"), "{text}");
        assert!(matches!(answer("404 Not Found", "NoSuchBucket"), FormatError::NoBucket { .. }));
        assert!(matches!(answer("404 Not Found", "NoSuchKey"), FormatError::Missing { .. }));
        assert!(matches!(answer("500 Oh", "InternalError"), FormatError::Object { .. }));
        let none = said("Error performing PUT http://169.254.169.254/latest/api/token in 8s");
        assert!(none.to_string().contains("no credentials were found"), "{none}");
    }
}
