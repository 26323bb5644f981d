//! A scheduler, workers and a client in one process, over every transport: what they compute is right, and stays
//! right when something breaks.

mod compute;
mod faults;
mod support;
mod transfers;
