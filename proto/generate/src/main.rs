//! Makes `proto/src/gen` again after a change of the .proto files: `cargo run -p tilework-proto-generate`.

fn main() {
    tilework_proto_generate::generate(&tilework_proto_generate::proto_dir().join("src/gen"));
}
