//! Listening to what the library says: events of `tracing`, numbers of `metrics`, of this thread.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of tests, which do not run on the library's seam; each file uses its own part"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use tracing::field::{Field, Visit};
use tracing::{Event, Id, Subscriber, span};

/// Keeps every event of the library, as its fields in order of name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    kept: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
}

impl Events {
    /// Those since the last call, with the fields of a transition.
    pub(crate) fn take(&self) -> Vec<BTreeMap<String, String>> {
        std::mem::take(&mut *self.kept.lock().unwrap())
    }
}

/// Writes fields down.
struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        write!(text, "{value:?}").unwrap();
        self.0.insert(field.name().to_owned(), text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

/// Hands each event to whoever listens on its thread. One for the process: what `tracing` remembers
/// of the places that emit is shared by all threads, and would race with tests that come and go.
struct Router;

thread_local! {
    /// Who listens on this thread.
    static HERE: RefCell<Option<Events>> = const { RefCell::new(None) };
}

impl Events {
    /// Listens to this thread during `work`.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        static ROUTER: Once = Once::new();
        ROUTER.call_once(|| tracing::subscriber::set_global_default(Router).unwrap());
        HERE.set(Some(self.clone()));
        let done = work();
        HERE.set(None);
        done
    }
}

impl Subscriber for Router {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("session_supervisor")
    }

    fn new_span(&self, _attributes: &span::Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        HERE.with_borrow(|here| {
            if let Some(events) = here {
                events.kept.lock().unwrap().push(fields);
            }
        });
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// Keeps every number by its name: what counters and gauges stand at, and how many values a
/// histogram got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    kept: Arc<Mutex<BTreeMap<String, Arc<Number>>>>,
}

/// One number; a gauge may go below 0 for an instant.
#[derive(Debug, Default)]
struct Number(AtomicU64);

impl Numbers {
    /// The number of this name, over all labels.
    pub(crate) fn get(&self, name: &str) -> i64 {
        let kept = self.kept.lock().unwrap();
        let labelled = format!("{name}{{");
        let mine = kept.iter().filter(|(key, _)| *key == name || key.starts_with(&labelled));
        mine.map(|(_, number)| number.0.load(Ordering::Relaxed).cast_signed()).sum()
    }

    /// The names with their labels.
    pub(crate) fn names(&self) -> Vec<String> {
        self.kept.lock().unwrap().keys().cloned().collect()
    }

    /// The number for `key`.
    fn number(&self, key: &Key) -> Arc<Number> {
        let mut name = key.name().to_owned();
        for label in key.labels() {
            write!(name, "{{{}={}}}", label.key(), label.value()).unwrap();
        }
        self.kept.lock().unwrap().entry(name).or_default().clone()
    }
}

impl metrics::CounterFn for Number {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers")]
impl metrics::GaugeFn for Number {
    fn increment(&self, value: f64) {
        self.0.fetch_add(value as u64, Ordering::Relaxed);
    }

    fn decrement(&self, value: f64) {
        self.0.fetch_sub(value as u64, Ordering::Relaxed);
    }

    fn set(&self, value: f64) {
        self.0.store(value as u64, Ordering::Relaxed);
    }
}

impl metrics::HistogramFn for Number {
    fn record(&self, value: f64) {
        assert!((0.0..3_600.0).contains(&value), "{value} s");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl metrics::Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.number(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.number(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.number(key))
    }
}
