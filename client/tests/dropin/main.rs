//! Programs that were written for ndarray, with the import changed alone: ndarray's own tests and examples, taken from
//! its archive at test time, and the programs beside this file. They must build, pass, and print what they print
//! with ndarray; and where everything that can be lazy is, tasks must have run.
//!
//! The first run fetches the archive and builds for minutes; later ones need no network. Nothing of ndarray's is kept
//! in the repository.

#[allow(clippy::unwrap_used, reason = "a test: what fails is shown")]
mod project;

use project::{Mode, Project};

/// ndarray's test files and how many tests each has.
const TESTS: [(&str, usize); 26] = [
    ("append", 18),
    ("array-construct", 28),
    ("array", 153),
    ("assign", 9),
    ("broadcast", 5),
    ("clone", 1),
    ("complex", 1),
    ("dimension", 13),
    ("format", 2),
    ("higher_order_f", 1),
    ("indices", 1),
    ("into-ixdyn", 2),
    ("iterator_chunks", 6),
    ("iterators", 48),
    ("ix0", 4),
    ("ixdyn", 11),
    ("numeric", 36),
    ("par_azip", 5),
    ("par_zip", 8),
    ("reshape", 15),
    ("s", 1),
    ("stacking", 2),
    ("variance", 1),
    ("views", 1),
    ("windows", 28),
    ("zst", 2),
];

/// ndarray's examples.
const EXAMPLES: [&str; 6] =
    ["axis_ops", "column_standardize", "convo", "functions_and_traits", "life", "zip_many"];

/// Our programs.
const PROGRAMS: [&str; 11] = [
    "arc",
    "aref_arg",
    "closures_owned",
    "cow",
    "generic_ref",
    "operators",
    "rand_annot",
    "stats_annot",
    "struct_field",
    "view_arith",
    "zips",
];

/// Tests that are cut from a file because they do not compile, and why: `docs/ndarray.md` has the list.
const CUT: [(&str, &str, usize, &str); 0] = [];

/// The modes: as users run it; everything lazy, in small chunks; the same on two worker processes.
const MODES: [Mode; 3] = [
    Mode { name: "defaults", lazy: false, processes: None },
    Mode { name: "lazy", lazy: true, processes: None },
    Mode { name: "processes", lazy: true, processes: Some(2) },
];

#[test]
fn programs_written_for_ndarray() {
    let ours = Project::ours(&TESTS.map(|(name, _)| name), &EXAMPLES, &PROGRAMS);
    for (file, module, _, why) in CUT {
        ours.cut(file, module, why);
    }
    let theirs = Project::theirs(&EXAMPLES, &PROGRAMS);
    ours.build();
    theirs.build();
    for mode in &MODES {
        let (passed, n_tasks) = pass(&ours, mode);
        let n_more = print_the_same(&ours, &theirs, mode);
        println!("{}: {passed} tests passed, {} tasks ran", mode.name, n_tasks + n_more);
        if mode.lazy {
            assert!(n_tasks > 0 && n_more > 0, "{}: nothing ran on workers: {n_tasks}, {n_more}", mode.name);
        }
    }
}

#[test]
fn every_method_of_ndarray_is_listed() {
    let listed = include_str!("../../../docs/ndarray.md");
    let missing: Vec<String> = project::public_functions()
        .into_iter()
        .filter(|name| !listed.contains(&format!("| `{name}` |")))
        .collect();
    assert!(missing.is_empty(), "docs/ndarray.md does not say what becomes of {missing:?}");
}

/// Runs the test files; returns how many tests passed and how many tasks ran.
fn pass(ours: &Project, mode: &Mode) -> (usize, u64) {
    let (mut passed, mut n_tasks) = (0, 0);
    for (name, n) in TESTS {
        let cut: usize = CUT.iter().filter(|c| c.0 == name).map(|c| c.2).sum();
        let run = ours.run_tests(name, mode);
        assert_eq!(run.passed, n - cut, "{name} ({}):\n{}", mode.name, run.output);
        passed += run.passed;
        n_tasks += run.n_tasks;
    }
    (passed, n_tasks)
}

/// Runs the examples and programs both ways and compares what they print; returns how many tasks ran.
fn print_the_same(ours: &Project, theirs: &Project, mode: &Mode) -> u64 {
    let mut n_tasks = 0;
    for name in EXAMPLES.iter().chain(&PROGRAMS) {
        let (got, want) = (ours.run_example(name, mode), theirs.run_example(name, &MODES[0]));
        assert_eq!(got.output, want.output, "{name} ({})", mode.name);
        n_tasks += got.n_tasks;
    }
    n_tasks
}
