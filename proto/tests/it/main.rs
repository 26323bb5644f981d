//! What travels arrives as it was sent; what makes no sense is refused and never panics; the generated code is that
//! of the .proto files.

mod fragments;
mod generated;
mod messages;
mod programs;
mod refusals;
