//! A cluster as text for people and as values for programs.
//!
//! Owns columns, words and the names of JSON's fields. Must not know how either is printed.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width};
use serde_json::{Value, json};
use std::fmt::Write;
use tilework_plan::quantities::{bytes, count, counted, time_us};
use tilework_scheduler::{ClientHello, ClientId, ClusterState, JobState, WorkerSummary};

/// Digits of a build that are shown.
const BUILD_DIGITS: usize = 8;

/// A task that has been running for longer is worth a word, microseconds.
const LONG_US: u64 = 60_000_000;

/// Where the column of tags stands, if any worker has some.
const TAGS_AT: usize = 6;

/// Columns of text that is cut, at least; a terminal that is narrower breaks the lines.
const CUT_WIDTH_MIN: u16 = 14;

/// How a table's column is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Text, as wide as its widest entry.
    Text,
    /// The same, flush right.
    Number,
    /// Text that is cut where the terminal is too narrow.
    Cut,
}

/// A table without lines; `width` is the terminal's, if it is for one.
pub fn table(head: &[(&str, Column)], rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width)
            .set_truncation_indicator("…");
    }
    let mut names = Row::from(head.iter().map(|(name, _)| *name));
    if width.is_some() {
        names.max_height(1);
    }
    table.set_header(names);
    for row in rows {
        table.add_row(row);
    }
    if width.is_some() {
        table.row_iter_mut().for_each(|row| {
            row.max_height(1);
        });
    }
    for (i, (_, kind)) in head.iter().enumerate() {
        let column = table.column_mut(i).expect("the header has set the columns");
        column.set_padding((0, 2));
        if *kind == Column::Number {
            column.set_cell_alignment(CellAlignment::Right);
        }
        column.set_constraint(match kind {
            Column::Cut => ColumnConstraint::LowerBoundary(Width::Fixed(CUT_WIDTH_MIN)),
            Column::Text | Column::Number => ColumnConstraint::ContentWidth,
        });
    }
    let mut text: String = table.trim_fmt();
    text.push('\n');
    text
}

/// Everything in short: who works, what runs and how far it is, stage by stage.
pub fn state(state: &ClusterState, at: &str, width: Option<u16>) -> String {
    let mut text = summary(state, at);
    let (running, rest): (Vec<&JobState>, Vec<&JobState>) =
        state.jobs.iter().partition(|j| !j.finished && !j.dormant);
    for job in running {
        write!(text, "\n{}", job_page(state, job, width)).expect("a string takes all");
    }
    if !rest.is_empty() {
        write!(text, "\n{}", jobs_table(state, &rest, width)).expect("a string takes all");
    }
    if !state.workers.is_empty() {
        write!(text, "\n{}", workers(state, width)).expect("a string takes all");
    }
    text
}

/// A line on the whole cluster.
fn summary(state: &ClusterState, at: &str) -> String {
    let threads = state.workers.iter().map(|w| u64::from(w.threads)).sum();
    let held = state.workers.iter().map(|w| w.bytes_held).sum();
    let memory = state.workers.iter().map(|w| w.memory_bytes).sum();
    format!(
        "scheduler at {at}, up {}: {}, {}, {} of {} held; {}, {}\n",
        time_us(state.up_us),
        counted(state.workers.len() as u64, "worker"),
        counted(threads, "thread"),
        bytes(held),
        bytes(memory),
        counted(state.clients.len() as u64, "client"),
        counted(state.n_jobs, "job"),
    )
}

/// A job that runs: what it is, a line of figures, and its stages.
fn job_page(state: &ClusterState, job: &JobState, width: Option<u16>) -> String {
    let mut text = format!(
        "job {} of {}: {}\n  {}, {} %, {} of {}",
        job.number.0,
        owner(state, job.client),
        job.title,
        condition(state, job),
        percent(job.done, job.total),
        count(job.done),
        counted(job.total, "task"),
    );
    if let Some(rate) = rate(job) {
        write!(text, ", {rate}").expect("a string takes all");
    }
    write!(text, ", {} so far", time_us(job.elapsed_us)).expect("a string takes all");
    if let Some(left) = job.left_us {
        write!(text, ", about {} left", time_us(left)).expect("a string takes all");
    }
    writeln!(text, ", {} held", bytes(job.bytes_held)).expect("a string takes all");
    let rows = job.stages.iter().map(|s| {
        vec![
            format!("#{}", s.stage.0),
            format!("{} %", percent(s.done, s.total)),
            count(s.total),
            count(s.leased),
            count(s.held),
            s.operation.clone(),
        ]
    });
    let head = [
        ("stage", Column::Number),
        ("done", Column::Number),
        ("tasks", Column::Number),
        ("at work", Column::Number),
        ("held", Column::Number),
        ("operation", Column::Cut),
    ];
    if !job.stages.is_empty() {
        text.push_str(&table(&head, rows.collect(), width));
    }
    let more = job.n_stages - (job.stages.len() as u64).min(job.n_stages);
    if more > 0 {
        writeln!(text, "and {} that are done or to come", counted(more, "stage"))
            .expect("a string takes all");
    }
    text
}

/// A line for each job.
pub fn jobs(state: &ClusterState, width: Option<u16>) -> String {
    let all: Vec<&JobState> = state.jobs.iter().collect();
    let mut text = if all.is_empty() { "no jobs\n".to_owned() } else { jobs_table(state, &all, width) };
    let more = state.n_jobs - (all.len() as u64).min(state.n_jobs);
    if more > 0 {
        writeln!(text, "and {} that have finished", counted(more, "job")).expect("a string takes all");
    }
    text
}

fn jobs_table(state: &ClusterState, jobs: &[&JobState], width: Option<u16>) -> String {
    let rows = jobs.iter().map(|j| {
        vec![
            j.number.0.to_string(),
            condition(state, j).to_owned(),
            format!("{} %", percent(j.done, j.total)),
            count(j.total),
            rate(j).unwrap_or_default(),
            time_us(j.elapsed_us),
            j.left_us.map(time_us).unwrap_or_default(),
            bytes(j.bytes_held),
            owner(state, j.client),
            j.title.clone(),
        ]
    });
    let head = [
        ("job", Column::Number),
        ("is", Column::Text),
        ("done", Column::Number),
        ("tasks", Column::Number),
        ("rate", Column::Number),
        ("so far", Column::Number),
        ("left", Column::Number),
        ("held", Column::Number),
        ("owner", Column::Cut),
        ("computes", Column::Cut),
    ];
    table(&head, rows.collect(), width)
}

/// A line for each worker.
pub fn workers(state: &ClusterState, width: Option<u16>) -> String {
    if state.workers.is_empty() {
        return "no workers\n".to_owned();
    }
    let tagged = state.workers.iter().any(|w| !w.tags.is_empty());
    let rows = state.workers.iter().map(|w| {
        let mut row = vec![
            w.name.clone(),
            w.threads.to_string(),
            running(w),
            count(u64::from(w.leased.saturating_sub(w.running)) + w.ready as u64),
            held(w),
            if w.leaving { format!("{}, leaves", time_us(w.up_us)) } else { time_us(w.up_us) },
            w.build.as_deref().unwrap_or("any").chars().take(BUILD_DIGITS).collect(),
            w.addresses.join(" "),
        ];
        if tagged {
            row.insert(TAGS_AT, tags(w));
        }
        row
    });
    let mut head = vec![
        ("worker", Column::Text),
        ("threads", Column::Number),
        ("running", Column::Number),
        ("waiting", Column::Number),
        ("held", Column::Number),
        ("up", Column::Number),
        ("build", Column::Text),
        ("address", Column::Cut),
    ];
    if tagged {
        head.insert(TAGS_AT, ("tags", Column::Cut));
    }
    table(&head, rows.collect(), width)
}

/// What a worker has that some tasks need, as the list by which it was given.
fn tags(worker: &WorkerSummary) -> String {
    let tags: Vec<&str> = worker.tags.iter().map(|tag| &**tag).collect();
    tags.join(",")
}

/// What a worker has in memory, and on its disk where it has anything there.
fn held(worker: &WorkerSummary) -> String {
    let mut text = format!("{} of {}", bytes(worker.bytes_held), bytes(worker.memory_bytes));
    if worker.bytes_on_disk > 0 {
        write!(text, ", {} on disk", bytes(worker.bytes_on_disk)).expect("a string takes all");
    }
    text
}

/// Tasks that run, and what is odd about them: threads that do not come back, a task that runs for long.
fn running(worker: &WorkerSummary) -> String {
    let mut text = count(worker.running.into());
    if worker.longest_us >= LONG_US {
        write!(text, ", one for {}", time_us(worker.longest_us)).expect("a string takes all");
    }
    if worker.stuck > 0 {
        write!(text, ", {} stuck", counted(worker.stuck.into(), "thread")).expect("a string takes all");
    }
    text
}

fn hello_of(state: &ClusterState, client: ClientId) -> Option<&ClientHello> {
    state.clients.iter().find(|c| c.client == client).map(|c| &c.hello)
}

fn owner(state: &ClusterState, client: ClientId) -> String {
    hello_of(state, client).map_or_else(|| "a client that is gone".to_owned(), ClientHello::to_string)
}

/// What a job is doing, in a word or two.
fn condition(state: &ClusterState, job: &JobState) -> &'static str {
    match job {
        _ if job.dormant => "released",
        _ if job.finished => "kept",
        _ if job.leased > 0 => "running",
        _ if state.workers.is_empty() => "waiting for workers",
        _ => "waiting",
    }
}

/// Whole per cents; 100 only where all is done.
fn percent(done: u64, total: u64) -> u64 {
    (u128::from(done) * 100).checked_div(u128::from(total)).map_or(100, |p| p as u64)
}

/// Tasks a second of late.
fn per_second(job: &JobState) -> Option<f64> {
    (!job.finished && job.late_us > 0).then(|| job.late_done as f64 * 1e6 / job.late_us as f64)
}

fn rate(job: &JobState) -> Option<String> {
    let rate = per_second(job)?;
    Some(if rate < 10.0 { format!("{rate:.1} tasks/s") } else { format!("{} tasks/s", count(rate as u64)) })
}

/// All of it.
pub fn state_json(state: &ClusterState, at: &str) -> Value {
    let seconds = |us: u64| us as f64 / 1e6;
    let who = |h: &ClientHello| json!({ "program": h.program, "pid": h.pid, "user": h.user, "host": h.host });
    let workers = state.workers.iter().map(|w| {
        json!({
            "worker": w.worker.0,
            "name": w.name,
            "addresses": w.addresses,
            "build": w.build,
            "tags": w.tags.iter().map(|tag| &**tag).collect::<Vec<&str>>(),
            "threads": w.threads,
            "memory_bytes": w.memory_bytes,
            "bytes_held": w.bytes_held,
            "spill_bytes": w.spill_bytes,
            "bytes_on_disk": w.bytes_on_disk,
            "tasks_leased": w.leased,
            "tasks_running": w.running,
            "tasks_ready": w.ready,
            "up_s": seconds(w.up_us),
            "silent_s": seconds(w.silent_us),
            "leaving": w.leaving,
            "threads_stuck": w.stuck,
            "task_longest_s": seconds(w.longest_us),
        })
    });
    let clients = state
        .clients
        .iter()
        .map(|c| json!({ "client": c.client.0, "who": who(&c.hello), "up_s": seconds(c.up_us) }));
    let jobs = state.jobs.iter().map(|j| {
        let stages = j.stages.iter().map(|s| {
            json!({
                "stage": s.stage.0,
                "operation": s.operation,
                "total": s.total,
                "done": s.done,
                "leased": s.leased,
                "held": s.held,
            })
        });
        json!({
            "job": j.number.0,
            "client": j.client.0,
            "owner": hello_of(state, j.client).map(who),
            "computes": j.title,
            "is": condition(state, j),
            "finished": j.finished,
            "released": j.dormant,
            "tasks_total": j.total,
            "tasks_done": j.done,
            "tasks_leased": j.leased,
            "tasks_per_s": per_second(j),
            "percent": percent(j.done, j.total),
            "bytes_held": j.bytes_held,
            "elapsed_s": seconds(j.elapsed_us),
            "left_s": j.left_us.map(seconds),
            "n_stages": j.n_stages,
            "stages": stages.collect::<Vec<_>>(),
        })
    });
    json!({
        "at": at,
        "up_s": seconds(state.up_us),
        "workers": workers.collect::<Vec<_>>(),
        "clients": clients.collect::<Vec<_>>(),
        "n_jobs": state.n_jobs,
        "jobs": jobs.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_plan::{StageIdx, Tags, WorkerId};
    use tilework_scheduler::{ClientSummary, JobNumber, StageCounts};

    fn cluster() -> ClusterState {
        let worker = |n: u32| WorkerSummary {
            worker: WorkerId(n),
            name: format!("node-with-a-long-name-{n}"),
            addresses: vec![format!("10.98.0.{n}:40000")],
            build: Some("0123456789abcdef".into()),
            threads: 4,
            memory_bytes: 8_000_000_000,
            spill_bytes: 90_000_000_000,
            bytes_held: 1_500_000_000,
            bytes_on_disk: 0,
            leased: 6,
            running: 4,
            ready: 3,
            up_us: 125_000_000,
            silent_us: 0,
            leaving: false,
            stuck: 0,
            longest_us: 0,
            tags: Tags::new(),
        };
        let hello =
            ClientHello { program: "heat".into(), pid: 5, user: "anna".into(), host: "login1".into() };
        let stage = |n: u32, done| StageCounts {
            stage: StageIdx(n),
            operation: "mean(sin(uniform(0..1)) * 2 + 1) over axis 0 of each chunk".into(),
            total: 1200,
            done,
            leased: 6,
            held: 12,
        };
        let job = |number, client, finished| JobState {
            number: JobNumber(number),
            client: ClientId(client),
            title: "mean(sin(uniform(0..1)) * 2 + 1) over axis 0".into(),
            finished,
            dormant: false,
            total: 1200,
            done: if finished { 1200 } else { 1199 },
            leased: if finished { 0 } else { 6 },
            bytes_held: 16 << 20,
            elapsed_us: 63_000_000,
            left_us: (!finished).then_some(52_600),
            late_done: 246,
            late_us: 2_000_000,
            n_stages: 12,
            stages: if finished { vec![] } else { vec![stage(0, 1200), stage(3, 0)] },
        };
        ClusterState {
            up_us: 7_384_000_000,
            workers: vec![worker(1), worker(2)],
            clients: vec![ClientSummary { client: ClientId(1), hello, up_us: 1 }],
            n_jobs: 2,
            jobs: vec![job(3, 1, false), job(2, 9, true)],
        }
    }

    #[test]
    fn a_page_for_people() {
        let page = state(&cluster(), "10.98.0.1:9000", None);
        let expected = "\
scheduler at 10.98.0.1:9000, up 2h 3m 4s: 2 workers, 8 threads, 3.00 GB of 16.0 GB held; 1 client, 2 jobs

job 3 of heat (pid 5) of anna on login1: mean(sin(uniform(0..1)) * 2 + 1) over axis 0
  running, 99 %, 1,199 of 1,200 tasks, 123 tasks/s, 1m 3s so far, about 52.6 ms left, 16.8 MB held
stage   done  tasks  at work  held  operation
   #0  100 %  1,200        6    12  mean(sin(uniform(0..1)) * 2 + 1) over axis 0 of each chunk
   #3    0 %  1,200        6    12  mean(sin(uniform(0..1)) * 2 + 1) over axis 0 of each chunk
and 10 stages that are done or to come

job  is     done  tasks  rate  so far  left     held  owner                  computes
  2  kept  100 %  1,200         1m 3s        16.8 MB  a client that is gone  mean(sin(uniform(0..1)) * 2 + 1) over axis 0

worker                   threads  running  waiting                held     up  build     address
node-with-a-long-name-1        4        4        5  1.50 GB of 8.00 GB  2m 5s  01234567  10.98.0.1:40000
node-with-a-long-name-2        4        4        5  1.50 GB of 8.00 GB  2m 5s  01234567  10.98.0.2:40000
";
        assert_eq!(page, expected);
    }

    #[test]
    fn tables_keep_to_the_terminal() {
        let cluster = cluster();
        for width in [60, 80, 100, 132] {
            for page in [jobs(&cluster, Some(width)), workers(&cluster, Some(width))] {
                let widest = page.lines().map(|l| l.chars().count()).max().unwrap_or(0);
                // What cannot be cut may be wider than the narrowest.
                assert!(widest <= usize::from(width).max(108), "{width}:\n{page}");
                assert_eq!(page.lines().count(), 3, "a row is a line:\n{page}");
            }
        }
        assert!(workers(&cluster, Some(80)).contains('…'), "{}", workers(&cluster, Some(80)));
    }

    #[test]
    fn what_is_on_disk_is_shown_where_there_is_something() {
        let mut cluster = cluster();
        cluster.workers[1].bytes_on_disk = 2_000_000_000;
        let page = workers(&cluster, None);
        assert!(page.contains("1.50 GB of 8.00 GB, 2.00 GB on disk"), "{page}");
        assert_eq!(page.matches("on disk").count(), 1, "{page}");
    }

    #[test]
    fn tags_are_shown_where_there_are_some() {
        let mut cluster = cluster();
        assert!(!workers(&cluster, None).contains("tags"));
        cluster.workers[1].tags = ["gpu", "big"].map(Into::into).into();
        let page = state(&cluster, "h:1", None);
        let rows = page.lines().rev().take(3).map(|line| {
            let mut words: Vec<&str> = line.split_whitespace().rev().take(3).collect();
            words.reverse();
            words.join(" ")
        });
        let rows: Vec<String> = rows.collect();
        let expected =
            ["big,gpu 01234567 10.98.0.2:40000", "5s 01234567 10.98.0.1:40000", "tags build address"];
        assert_eq!(rows, expected, "{page}");
        assert_eq!(state_json(&cluster, "h:1")["workers"][1]["tags"], serde_json::json!(["big", "gpu"]));
        assert_eq!(state_json(&cluster, "h:1")["workers"][0]["tags"], serde_json::json!([]));
    }

    #[test]
    fn threads_that_do_not_come_back_are_shown() {
        let mut cluster = cluster();
        cluster.workers[0].stuck = 2;
        cluster.workers[1].longest_us = 125_000_000;
        let page = workers(&cluster, None);
        assert!(page.contains(" 4, 2 threads stuck ") && page.contains(" 4, one for 2m 5s "), "{page}");
        assert_eq!(state_json(&cluster, "h:1")["workers"][0]["threads_stuck"], 2);
        assert_eq!(state_json(&cluster, "h:1")["workers"][1]["task_longest_s"], 125.0);
    }

    #[test]
    fn values_for_programs() {
        let value = state_json(&cluster(), "h:1");
        assert_eq!(value["jobs"][0]["job"], 3);
        assert_eq!(value["jobs"][0]["owner"]["user"], "anna");
        assert_eq!(value["jobs"][0]["tasks_per_s"], 123.0);
        assert_eq!(value["jobs"][0]["percent"], 99);
        assert_eq!(value["jobs"][1]["owner"], Value::Null);
        assert_eq!(value["workers"][1]["addresses"][0], "10.98.0.2:40000");
    }
}
