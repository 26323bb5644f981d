//! Internal to tilework: starting and finding a cluster: who belongs to it, where it listens, and what it may use of a
//! host.
//!
//! Owns: [`connection`] files, the certificate and the token ([`security`]), the settings of every
//! connection ([`transport`]), who may come to a port ([`door`]), the addresses to announce ([`interfaces`], [`listen`]), child processes
//! ([`process`]), processors and memory granted ([`limits`]), the log of a process ([`log`]), the wish to stop
//! ([`signals`]), and what people call a process ([`who`]).
//! Must not know: arrays, chunks, tasks, or any message of the protocol.
//!
//! A scheduler binds, writes the file, and serves; a worker or a client waits for the file, and connects:
//!
//! ```
//! # async fn scheduler(path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
//! use tilework_cluster::{connection::ConnectionFile, listen, security::TokenCheck, transport};
//!
//! let bound = listen::bind("*:0")?;
//! let file = ConnectionFile::create(bound.addresses().to_vec(), None, 0)?;
//! let server = transport::server_builder(&file.identity())?;
//! let check = TokenCheck::new(&file.identity());
//! let incoming = bound.into_incoming()?;
//! file.write(path)?;
//! // server.add_service(MyServer::with_interceptor(my, check)).serve_with_incoming(incoming)
//! # Ok(())
//! # }
//! # async fn client(path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
//! # use std::time::Duration;
//! # use tilework_cluster::{connection::ConnectionFile, security::TokenAttach, transport};
//! let file = ConnectionFile::wait(path, Duration::from_secs(60)).await?;
//! let channel = transport::connect(&file.addresses, &file.identity(), Duration::from_secs(10)).await?;
//! let attach = TokenAttach::new(&file.identity());
//! // MyClient::with_interceptor(channel, attach)
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "network")]
pub mod connection;
#[cfg(feature = "network")]
pub mod door;
#[cfg(feature = "network")]
pub mod interfaces;
pub mod limits;
#[cfg(feature = "network")]
pub mod listen;
#[cfg(feature = "network")]
pub mod log;
#[cfg(feature = "network")]
pub mod process;
#[cfg(feature = "network")]
pub mod security;
#[cfg(feature = "network")]
pub mod signals;
#[cfg(feature = "network")]
pub mod transport;
pub mod who;
