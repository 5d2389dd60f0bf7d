//! What is told: to people, to the log, to Prometheus.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::settings::Settings;

/// The bounds of histograms of seconds.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

/// Tells whoever has started it.
#[allow(clippy::print_stdout, reason = "a program talks to people")]
pub(crate) fn say(text: &str) {
    println!("session-server: {text}");
}

/// Tells whoever has started it what is wrong.
#[allow(clippy::print_stderr, reason = "a program talks to people")]
pub(crate) fn complain(text: &str) {
    eprintln!("session-server: {text}");
}

/// Starts the log, on the standard error.
pub(crate) fn log(filter: &str) {
    let filter = EnvFilter::new(filter);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only a second log in one process is refused.
    drop(log.try_init());
}

/// Starts to keep metrics. Before the supervisor, whose settings are told once.
pub(crate) fn record(settings: &Settings) -> Result<PrometheusHandle, BuildError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let handle =
        PrometheusBuilder::new().set_buckets_for_metric(seconds, &SECONDS)?.install_recorder()?;
    describe_counter!(
        "session_server_requests_total",
        "requests, when the head of their answer goes out"
    );
    describe_histogram!("session_server_request_seconds", "how long that took");
    describe_counter!("session_server_turns_total", "turns, by what became of their record");
    describe_counter!(
        "session_server_upstream_answers_total",
        "answers of the upstream, by their status"
    );
    describe_counter!(
        "session_server_clients_gone_total",
        "clients that have left in the middle of a stream"
    );
    describe_counter!(
        "session_server_refused_total",
        "requests without a token, or from another site"
    );
    describe_counter!(
        "session_server_limit_rejected_total",
        "requests that a limit of the server refused, or broke off"
    );
    describe_gauge!("session_server_limit_current", "how much of a limit of the server is used");
    describe_gauge!("session_server_limit_max", "how much there may be; of a timeout, seconds");
    for (limit, max) in [
        ("body_bytes", settings.max_body_bytes),
        ("answer_bytes", settings.max_answer_bytes),
        ("queue", settings.queue),
        ("upstream_connections", settings.upstream_connections),
    ] {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        gauge!("session_server_limit_max", "limit" => limit).set(max as f64);
        counter!("session_server_limit_rejected_total", "limit" => limit).increment(0);
    }
    let timeout = settings.upstream_timeout.as_secs_f64();
    gauge!("session_server_limit_max", "limit" => "upstream_timeout").set(timeout);
    counter!("session_server_limit_rejected_total", "limit" => "upstream_timeout").increment(0);
    gauge!("session_server_limit_current", "limit" => "upstream_connections").set(0.0);
    Ok(handle)
}
