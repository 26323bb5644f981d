//! The generated code that is checked in is what the .proto files give.

use tilework_proto_generate::{generate, proto_dir};

#[test]
fn the_generated_code_is_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    generate(dir.path());
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    let fresh = read(dir.path().join("tilework.v1.rs"));
    let checked_in = read(proto_dir().join("src/gen/tilework.v1.rs"));
    assert!(fresh == checked_in, "run: cargo run -p tilework-proto-generate");
}
