//! Who may talk to a cluster: its certificate and its token, on both sides of a connection.
//!
//! Owns: making the secrets of a cluster, turning them into TLS settings, and checking the token of a
//! request. Must not know: files, addresses, or any service.
//!
//! One certificate, self-signed, for every server of the cluster; a client trusts that one and no other, so
//! no certificate of a public authority opens anything. Both ends are ours and take TLS 1.3. (tonic's
//! `ServerTlsConfig` cannot switch 1.2 off: a foreign client that offers only 1.2 gets as far as the token.)

use std::fmt;
use std::sync::{Arc, Once};

use http::{Extensions, HeaderMap, HeaderValue, header::AUTHORIZATION};
use subtle::ConstantTimeEq;
use tonic::service::Interceptor;
use tonic::transport::{Certificate, ClientTlsConfig, ServerTlsConfig};
use tonic::{Request, Status};

use crate::door::Visitor;

/// The name in every cluster's certificate. Not a host name: nodes have many, and none of them matters.
pub const TLS_NAME: &str = "tilework";
/// Random bytes in a cluster's id.
pub const CLUSTER_ID_BYTES: usize = 16;
/// Random bytes in a cluster's token.
pub const TOKEN_BYTES: usize = 32;

const SCHEME: &str = "Bearer ";
/// Names the sender's release: programs and plans are of one version on both ends.
const RELEASE_HEADER: &str = "tilework-release";
/// Characters of another release's name that are shown.
const RELEASE_CHARS_MAX: usize = 40;
/// The release of this build.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Why a cluster's secrets could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    NoRandomness(getrandom::Error),
    /// The certificate could not be made.
    #[error("cannot make the cluster's certificate")]
    Certificate(#[from] rcgen::Error),
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The request has no token.
    #[error("the request carries no token: connect with the connection file that this scheduler wrote")]
    Absent,
    /// The request has another cluster's token.
    #[error("the token does not match this cluster's: use the connection file that this scheduler wrote")]
    Wrong,
    /// The request comes from another release.
    #[error("it is tilework {RELEASE}, and what connects to it is {got}: use the same release everywhere")]
    Release {
        /// Which.
        got: String,
    },
}

impl From<TokenError> for Status {
    fn from(error: TokenError) -> Self {
        let text = error.to_string();
        match error {
            TokenError::Absent | TokenError::Wrong => Status::unauthenticated(text),
            TokenError::Release { .. } => Status::failed_precondition(text),
        }
    }
}

/// What makes a process a part of one cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// 128 random bits in hex.
    pub cluster_id: String,
    /// 256 random bits in hex.
    pub token: String,
    /// The certificate of every server of the cluster, PEM.
    pub certificate_pem: String,
    /// Its private key, PEM.
    pub key_pem: String,
}

/// Shows the cluster's id and no secret.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("cluster_id", &self.cluster_id).finish_non_exhaustive()
    }
}

impl Identity {
    /// Fresh secrets for a new cluster.
    ///
    /// # Errors
    /// [`IdentityError`] if the system has no randomness to give.
    pub fn create() -> Result<Self, IdentityError> {
        let cluster_id = random_hex::<CLUSTER_ID_BYTES>()?;
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::new(vec![TLS_NAME.to_owned()])?;
        // The id in the subject: a foreign cluster's certificate is "unknown issuer", not "bad signature".
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("tilework {cluster_id}"));
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            cluster_id,
            token: random_hex::<TOKEN_BYTES>()?,
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

/// `N` random bytes from the operating system.
///
/// # Errors
/// [`IdentityError::NoRandomness`].
pub fn random_bytes<const N: usize>() -> Result<[u8; N], IdentityError> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(IdentityError::NoRandomness)?;
    Ok(bytes)
}

/// `N` random bytes from the operating system, in hex.
pub(crate) fn random_hex<const N: usize>() -> Result<String, IdentityError> {
    Ok(random_bytes::<N>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Makes ring the process's cryptography, unless the program chose another already.
///
/// rustls panics where two are compiled in and none is chosen. Called by everything here that needs it.
pub fn install_crypto_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Err: somebody installed one first, and theirs does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// What a server of the cluster shows to its clients.
#[must_use]
pub fn server_tls(identity: &Identity) -> ServerTlsConfig {
    install_crypto_provider();
    ServerTlsConfig::new()
        .identity(tonic::transport::Identity::from_pem(&identity.certificate_pem, &identity.key_pem))
        .timeout(crate::transport::HANDSHAKE_TIMEOUT)
}

/// What a client of the cluster accepts: its certificate and no other.
#[must_use]
pub fn client_tls(identity: &Identity) -> ClientTlsConfig {
    install_crypto_provider();
    ClientTlsConfig::new()
        .domain_name(TLS_NAME)
        .ca_certificate(Certificate::from_pem(&identity.certificate_pem))
        .timeout(crate::transport::HANDSHAKE_TIMEOUT)
}

/// Whether these headers say `authorization: Bearer <token>` with this token.
fn check_token(headers: &HeaderMap, token: &str) -> Result<(), TokenError> {
    let value = headers.get(AUTHORIZATION).ok_or(TokenError::Absent)?;
    let given = value.as_bytes().strip_prefix(SCHEME.as_bytes()).ok_or(TokenError::Absent)?;
    // Takes the same time wherever the two differ; another length is unequal at once, and no secret.
    if bool::from(given.ct_eq(token.as_bytes())) { Ok(()) } else { Err(TokenError::Wrong) }
}

/// Whether these headers name our release.
fn check_release(headers: &HeaderMap) -> Result<(), TokenError> {
    let given = headers.get(RELEASE_HEADER).and_then(|v| v.to_str().ok());
    match given {
        Some(RELEASE) => Ok(()),
        Some(other) => Err(TokenError::Release { got: other.chars().take(RELEASE_CHARS_MAX).collect() }),
        None => Err(TokenError::Release { got: "an older one".to_owned() }),
    }
}

/// The server's interceptor: refuses every request without this cluster's token, and of another release.
#[derive(Clone)]
pub struct TokenCheck {
    token: Arc<str>,
}

impl TokenCheck {
    /// A check for this cluster's token.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        Self { token: identity.token.as_str().into() }
    }

    /// The same check for a service written by hand. Whoever passes it is no stranger any more to the port that it came
    /// to: see [`Visitor`].
    ///
    /// # Errors
    /// [`TokenError`]; `Status::from` makes it the answer to a gRPC request.
    pub fn check(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<(), TokenError> {
        // Who has no token learns nothing, not even the release.
        check_token(headers, &self.token)?;
        check_release(headers)?;
        if let Some(visitor) = extensions.get::<Visitor>() {
            visitor.admit();
        }
        Ok(())
    }
}

impl Interceptor for TokenCheck {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.check(request.metadata().as_ref(), request.extensions())?;
        Ok(request)
    }
}

impl fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCheck").finish_non_exhaustive()
    }
}

/// The client's interceptor: puts the token and the release on every request.
#[derive(Clone)]
pub struct TokenAttach {
    value: HeaderValue,
}

impl TokenAttach {
    /// Attaches this cluster's token.
    ///
    /// A token that cannot stand in a header (none that [`Identity::create`] makes) is sent as an empty
    /// one, and refused by the server.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        let mut value = HeaderValue::try_from(format!("{SCHEME}{}", identity.token))
            .unwrap_or_else(|_| HeaderValue::from_static(SCHEME));
        // Neither printed by Debug nor kept in HTTP/2's table of past headers.
        value.set_sensitive(true);
        Self { value }
    }

    /// Puts the token and the release on a request made by hand, in place of those that are there.
    pub fn attach(&self, headers: &mut HeaderMap) {
        headers.insert(AUTHORIZATION, self.value.clone());
        headers.insert(RELEASE_HEADER, HeaderValue::from_static(RELEASE));
    }
}

impl Interceptor for TokenAttach {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        self.attach(request.metadata_mut().as_mut());
        Ok(request)
    }
}

impl fmt::Debug for TokenAttach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAttach").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_have_their_lengths_and_forms() {
        let identity = Identity::create().unwrap();
        assert_eq!(identity.cluster_id.len(), 2 * CLUSTER_ID_BYTES);
        assert_eq!(identity.token.len(), 2 * TOKEN_BYTES);
        assert!(identity.certificate_pem.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(identity.key_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
    }

    #[test]
    fn a_token_passes_or_is_refused() {
        let cases: [(Option<&str>, Result<(), TokenError>); 7] = [
            (Some("Bearer 0123"), Ok(())),
            (Some("Bearer 0124"), Err(TokenError::Wrong)),
            (Some("Bearer 012"), Err(TokenError::Wrong)),
            (Some("Bearer 01234"), Err(TokenError::Wrong)),
            (Some("Bearer "), Err(TokenError::Wrong)),
            (Some("0123"), Err(TokenError::Absent)),
            (None, Err(TokenError::Absent)),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(check_token(&headers, "0123"), expected, "{value:?}");
        }
    }

    #[test]
    fn another_release_is_refused_and_named_to_those_with_the_token() {
        let ours = Identity::create().unwrap();
        let check = TokenCheck::new(&ours);
        let mut headers = HeaderMap::new();
        TokenAttach::new(&ours).attach(&mut headers);
        assert_eq!(check.check(&headers, &Extensions::new()), Ok(()));
        headers.insert(RELEASE_HEADER, HeaderValue::from_static("0.0.7"));
        let refused = Status::from(check.check(&headers, &Extensions::new()).unwrap_err());
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        let said = format!(
            "it is tilework {RELEASE}, and what connects to it is 0.0.7: use the same release everywhere"
        );
        assert_eq!(refused.message(), said);
        headers.remove(RELEASE_HEADER);
        assert_eq!(
            check.check(&headers, &Extensions::new()),
            Err(TokenError::Release { got: "an older one".to_owned() })
        );
        headers.remove(AUTHORIZATION);
        assert_eq!(check.check(&headers, &Extensions::new()), Err(TokenError::Absent));
    }

    #[test]
    fn what_one_side_attaches_the_other_accepts() {
        let (ours, theirs) = (Identity::create().unwrap(), Identity::create().unwrap());
        let mut check = TokenCheck::new(&ours);
        let request = TokenAttach::new(&ours).call(Request::new(())).unwrap();
        assert!(!format!("{request:?}").contains(&ours.token), "Debug of a request shows the token");
        check.call(request).unwrap();
        let refused = check.call(TokenAttach::new(&theirs).call(Request::new(())).unwrap()).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated);
        assert_eq!(
            refused.message(),
            "the token does not match this cluster's: use the connection file that this scheduler wrote"
        );
    }
}
