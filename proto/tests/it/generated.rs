//! The generated code that is checked in is what the .proto files give.

use std::path::PathBuf;
use tilework_proto_generate::generate;

#[test]
fn the_generated_code_is_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    // Asked when it runs: builds outlive the checkouts that they were made in.
    let proto_dir = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    generate(&proto_dir, dir.path());
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let fresh = read(dir.path().join("tilework.v1.rs"));
    let checked_in = read(proto_dir.join("src/gen/tilework.v1.rs"));
    assert!(fresh == checked_in, "run: cargo run -p tilework-proto-generate");
}
