//! Makes `proto/src/gen` again after a change of the .proto files: `cargo run -p tilework-proto-generate`.

use std::path::PathBuf;

fn main() {
    // Asked when it runs: what was built for another checkout may be run in this one.
    let own = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let proto_dir = PathBuf::from(own).join("..");
    tilework_proto_generate::generate(&proto_dir, &proto_dir.join("src/gen"));
}
