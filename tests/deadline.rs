//! A deadline that is kept whatever becomes of this process: what a lease is for is handed its end.
//!
//! Both children are this test binary, run again for a test that does nothing unless it is told to. One
//! supervises, takes a lease, and starts the other with the time at which that is over: it stands for a
//! sandbox whose backend ends it by itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test, which does not run on the library's seam"
)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_supervisor::{NewSession, Supervisor};

/// Says to the child which of the two it is; to the resource, when it is to end.
const CHILD: &str = "DEADLINE_CHILD";

/// How long the lease is to last: longer than it takes to start a process.
const LEASE: Duration = Duration::from_secs(3);

/// Runs this binary again for the test `name`.
fn spawn(name: &str, told: &str, out: Stdio) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(CHILD, told).stdout(out);
    command.spawn().unwrap()
}

/// What the wall clock shows, in milliseconds.
fn wall() -> u64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(wall.as_millis()).unwrap()
}

#[tokio::test]
async fn the_child_that_supervises() {
    if std::env::var(CHILD).as_deref() != Ok("supervise") {
        return;
    }
    let supervisor: Supervisor = Supervisor::builder().start().await.unwrap();
    let session = supervisor.create(NewSession::new()).await.unwrap();
    let lease = session.lease("a sandbox", LEASE).await.unwrap();
    let until = lease.info().unwrap().until.as_millis();
    let mut resource =
        spawn("the_resource_that_knows_its_end", &until.to_string(), Stdio::inherit());
    println!("\n@ leased {until}");
    resource.wait().unwrap();
    panic!("it was to be killed before");
}

#[test]
fn the_resource_that_knows_its_end() {
    let Ok(until) = std::env::var(CHILD).unwrap_or_default().parse() else { return };
    println!("\n@ running");
    while wall() < until {
        std::thread::park_timeout(Duration::from_millis(until - wall().min(until)));
    }
    println!("\n@ ended {}", wall());
}

// X20: handed over when the resource is made, and kept though the process that made it is killed at once
#[test]
fn what_was_handed_the_end_of_a_lease_ends_by_itself_when_the_process_is_killed() {
    let mut child = spawn("the_child_that_supervises", "supervise", Stdio::piped());
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (mut until, mut running) = (None, false);
    while until.is_none() || !running {
        let mut line = String::new();
        assert!(out.read_line(&mut line).unwrap() > 0, "it has ended");
        let line = line.trim();
        running |= line == "@ running";
        until = until.or(line.strip_prefix("@ leased ").map(|at| at.parse::<u64>().unwrap()));
    }
    let until = until.unwrap();
    assert!(until.abs_diff(wall()) <= u64::try_from(LEASE.as_millis()).unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(wall() < until, "it was killed before the end");
    // The pipe is open for as long as the resource lives.
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let ended =
        rest.lines().find_map(|line| line.strip_prefix("@ ended ")).expect("it ended by itself");
    assert!(ended.parse::<u64>().unwrap() >= until, "not before its time");
}
