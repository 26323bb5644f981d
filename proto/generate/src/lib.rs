//! Makes the generated code of `tilework-proto` from its .proto files, without protoc.
//!
//! Owns the generator's settings. A crate of its own, so that it builds while the code that uses the generated types
//! does not.

use std::path::Path;

/// The files that the generated code is made of.
const PROTOS: [&str; 4] = ["program", "task", "scheduler", "chunks"];

/// Writes `tilework.v1.rs` into `out_dir`, of the files in `tilework-proto`, whose folder is `proto_dir`.
///
/// # Panics
/// If the .proto files are not right, or the folder cannot be written.
pub fn generate(proto_dir: &Path, out_dir: &Path) {
    let files = PROTOS.map(|name| format!("tilework/v1/{name}.proto"));
    let descriptors = protox::compile(files, [proto_dir.join("proto")]).expect("the .proto files compile");
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .out_dir(out_dir)
        .compile_fds(descriptors)
        .expect("code is generated");
}
