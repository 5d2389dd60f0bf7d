//! What a chunk costs: its producer, and the readers that keep up.
//!
//! - `emit/readers=N`: processor time of the whole process for a chunk that all the readers get. The
//!   producer is a task that yields after each chunk, a reader a task that does nothing but read. The
//!   other side does the same over a tokio `broadcast` channel with as many places and the same payload.
//! - `emit/producer/readers=N`: processor time of the producer's thread within the call of `emit`, by
//!   that thread's own clock. Before each chunk all readers have read what there is and are parked. Then
//!   one chunk goes to a stream that nobody reads, one to the stream with the readers, and nothing to
//!   nowhere, in an order that rotates, each between two readings of the clock. So both streams meet the
//!   same caches and the same moment of the machine. The third is what reading the clock costs, and
//!   is taken off. What the readers do is not in it, nor what the task does that wakes them; that is in
//!   the row above, on whatever thread it runs.
//! - `emit/readers=1/idle_readers=N`: as the first, beside readers that never read, half of which were
//!   polled once; against the same without them. And by how much the process grows while a million
//!   chunks pass them.
//!
//! The text becomes a chunk within what is measured, as it does wherever words come from a model. What is
//! kept of a reply beside the transcript is included in the first rows, as by default, and left out of
//! those of the producer and of memory, where it would hide what they are about.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use session_supervisor::{
    BusyPolicy, Chunk, Config, Event, NewSession, PartialPolicy, Subscription, Supervisor, Turn,
    TurnInput,
};
use tokio::runtime::Runtime;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::{JoinHandle, yield_now};

use crate::measure::{Sample, Series, Side, in_task, interleave, thread_cpu_nanos, timed};
use crate::report::{Report, Shown, Target};
use crate::start::resident_bytes;
use crate::world;

/// What is said each time: about a word.
const TEXT: &str = "a word or two ";

/// Places of the ring by default, and of the channel.
const PLACES: usize = 1_024;

/// Chunks in a round.
const CHUNKS: u64 = 20_000;
const ROUNDS: usize = 31;

/// Steps in a round, where the readers park before each.
const STEPS: u64 = 1_000;

/// Readers of the stream that many read.
const MANY: usize = 64;

/// Who emits.
trait Producer: Send + Sync + 'static {
    type Reader: Reader;

    /// Emits a word.
    fn say(&self);

    fn reader(&self) -> Self::Reader;
}

/// Who reads.
trait Reader: Send + 'static {
    /// The number of chunks that came; `None` at the end.
    fn read(&mut self) -> impl Future<Output = Option<u64>> + Send;
}

impl Producer for Turn {
    type Reader = Subscription;

    fn say(&self) {
        black_box(self.emit(TEXT).expect("nobody told it to end"));
    }

    fn reader(&self) -> Subscription {
        self.subscribe()
    }
}

impl Reader for Subscription {
    async fn read(&mut self) -> Option<u64> {
        match self.next().await {
            Some(Event::Chunk { chunk, .. }) => {
                black_box(chunk);
                Some(1)
            }
            event => {
                assert!(matches!(event, Some(Event::Ended(_))), "it does not keep up: {event:?}");
                None
            }
        }
    }
}

impl Producer for broadcast::Sender<Chunk> {
    type Reader = broadcast::Receiver<Chunk>;

    fn say(&self) {
        drop(black_box(self.send(Chunk::from(TEXT))));
    }

    fn reader(&self) -> Self::Reader {
        self.subscribe()
    }
}

impl Reader for broadcast::Receiver<Chunk> {
    async fn read(&mut self) -> Option<u64> {
        match self.recv().await {
            Ok(chunk) => {
                black_box(chunk);
                Some(1)
            }
            Err(error) => {
                assert_eq!(error, RecvError::Closed, "it does not keep up");
                None
            }
        }
    }
}

/// A turn in a session of its own.
async fn turn(supervisor: &Supervisor) -> Turn {
    let session = supervisor.create(NewSession::new()).await.expect("it is created");
    session.begin(TurnInput::none(), BusyPolicy::Reject).await.expect("it is idle")
}

/// A supervisor that keeps nothing of replies that are not committed.
async fn without_partials() -> Supervisor {
    let mut config = Config::default();
    config.partials.interrupted = PartialPolicy::Drop;
    Supervisor::builder().config(config).start().await.expect("it starts")
}

/// Everything.
pub(crate) fn run(report: &mut Report) {
    let runtime = world::runtime();
    keeping_up(report, &runtime);
    producer_alone(report, &runtime);
    idle_readers(report, &runtime);
    memory(report, &runtime);
}

/// Readers that keep up, against a channel.
fn keeping_up(report: &mut Report, runtime: &Runtime) {
    let supervisor = in_task(runtime, world::on_memory());
    for (readers, chunks, target) in
        [(1, CHUNKS, Some(Target::AtMost(2.0))), (MANY, CHUNKS / 10, None)]
    {
        let ours = || {
            let supervisor = supervisor.clone();
            in_task(runtime, async move { keep_up(turn(&supervisor).await, readers, chunks).await })
        };
        let channel = || in_task(runtime, keep_up(broadcast::channel(PLACES).0, readers, chunks));
        let sides = vec![
            Side::new(format!("emit/readers={readers}"), ours),
            Side::new(format!("tokio_broadcast/receivers={readers}"), channel),
        ];
        report.sides(Shown::Time, &interleave(ROUNDS, sides), &[target]);
    }
}

/// Emits so many chunks to so many readers, one at a time.
async fn keep_up(producer: impl Producer, readers: usize, chunks: u64) -> Sample {
    let (parked, tasks) = start_readers(&producer, readers);
    let behind = |said: u64| parked.iter().any(|next| next.load(Ordering::Acquire) <= said);
    let sample = timed(chunks as usize, async {
        for said in 1..=chunks {
            producer.say();
            yield_now().await;
            // Almost never: the machine may stop a reader's thread for a while.
            while behind(said.saturating_sub(PLACES as u64 / 2)) {
                yield_now().await;
            }
        }
        while behind(chunks) {
            yield_now().await;
        }
    })
    .await;
    drop(producer);
    for task in tasks {
        task.await.expect("a reader does not panic");
    }
    sample
}

/// What the producer pays for readers that are parked.
fn producer_alone(report: &mut Report, runtime: &Runtime) {
    let supervisor = in_task(runtime, without_partials());
    for (readers, target) in [(1, None), (MANY, Some(Target::AtMost(3.0)))] {
        let paid = (0..=ROUNDS).map(|_| {
            let supervisor = supervisor.clone();
            in_task(runtime, async move {
                let (alone, read) = (turn(&supervisor).await, turn(&supervisor).await);
                pay(&alone, read, readers).await
            })
        });
        producer_lines(report, "emit/producer", readers, &paid.skip(1).collect::<Vec<_>>(), target);
    }
    let paid = (0..=ROUNDS).map(|_| {
        in_task(runtime, async move {
            let (alone, read) = (broadcast::channel(PLACES).0, broadcast::channel(PLACES).0);
            // It keeps nothing unless somebody might read it.
            let _idle = alone.subscribe();
            pay(&alone, read, MANY).await
        })
    });
    let name = "- tokio_broadcast/producer";
    producer_lines(report, name, MANY, &paid.skip(1).collect::<Vec<_>>(), None);
}

/// The line of a stream with readers, and that of one without.
fn producer_lines(
    report: &mut Report,
    name: &str,
    readers: usize,
    paid: &[[f64; 2]],
    target: Option<Target>,
) {
    let side =
        |side: usize| paid.iter().map(move |paid| Sample { wall: f64::NAN, cpu: paid[side] });
    let none = format!("{}/readers=0", name.trim_start_matches("- "));
    let alone = Series::of(none, side(0).collect());
    let read = Series::of(format!("{name}/readers={readers} (cpu)"), side(1).collect());
    let ratio = Some((read.cpu_ratio(&alone), alone.name.as_str()));
    report.line(&read.name, (read.cpu(), "ns"), ratio, target);
    report.line(&format!("- {} (cpu)", alone.name), (alone.cpu(), "ns"), None, None);
}

/// Emits to a stream without readers and to one with so many, all of them parked; answers what a
/// chunk costs its producer on either, in nanoseconds.
async fn pay<P: Producer>(alone: &P, read: P, readers: usize) -> [f64; 2] {
    let (parked, tasks) = start_readers(&read, readers);
    let full = PLACES as u64;
    for _ in 0..full {
        // Where nothing has to go yet, a chunk costs less.
        alone.say();
        read.say();
    }
    let mut costs = [0.0; 3];
    for step in 1..=STEPS {
        while parked.iter().any(|place| place.load(Ordering::Acquire) < full + step) {
            yield_now().await;
        }
        // The last of them has said that it waits and may not have left its thread yet.
        for _ in 0..3 {
            yield_now().await;
        }
        for _ in 0..3 {
            // The first readings after a wait take longer.
            black_box(thread_cpu_nanos());
        }
        for place in 0..costs.len() {
            let side = (step as usize + place) % costs.len();
            let before = thread_cpu_nanos();
            match side {
                0 => {}
                1 => alone.say(),
                _ => read.say(),
            }
            costs[side] += thread_cpu_nanos() - before;
        }
    }
    drop(read);
    for task in tasks {
        task.await.expect("a reader does not panic");
    }
    let [empty, alone, read] = costs.map(|cost| cost / STEPS as f64);
    [alone - empty, read - empty]
}

/// Starts readers; each says for which number it is parked.
fn start_readers(
    producer: &impl Producer,
    readers: usize,
) -> (Arc<Vec<AtomicU64>>, Vec<JoinHandle<()>>) {
    let parked: Arc<Vec<_>> = Arc::new((0..readers).map(|_| AtomicU64::new(0)).collect());
    let task = |number| tokio::spawn(read_and_park(producer.reader(), parked.clone(), number));
    let tasks = (0..readers).map(task).collect();
    (parked, tasks)
}

/// Reads to the end, and says before each wait for which number it is parked.
async fn read_and_park(mut reader: impl Reader, parked: Arc<Vec<AtomicU64>>, number: usize) {
    let mut next = 1;
    loop {
        let mut read = pin!(reader.read());
        let waits = |context: &mut Context<'_>| {
            let poll = read.as_mut().poll(context);
            if poll.is_pending() {
                parked[number].store(next, Ordering::Release);
            }
            poll
        };
        match poll_fn(waits).await {
            Some(more) => next += more,
            None => return,
        }
    }
}

/// One reader that keeps up, beside many that never read and beside none.
fn idle_readers(report: &mut Report, runtime: &Runtime) {
    let supervisor = in_task(runtime, world::on_memory());
    let round = |idle: usize| {
        let supervisor = supervisor.clone();
        in_task(runtime, async move {
            let turn = turn(&supervisor).await;
            let mut readers: Vec<_> = (0..idle).map(|_| turn.subscribe()).collect();
            let waiting: Vec<_> = readers.iter_mut().step_by(2).map(wait_once).collect();
            let sample = keep_up(turn, 1, CHUNKS).await;
            drop(waiting);
            sample
        })
    };
    let sides = vec![
        Side::new(format!("emit/readers=1/idle_readers={MANY}"), || round(MANY)),
        Side::new("emit/readers=1/idle_readers=0", || round(0)),
    ];
    report.sides(Shown::Time, &interleave(ROUNDS, sides), &[Some(Target::Within(0.1))]);
}

/// What chunks weigh that pass readers which never read.
fn memory(report: &mut Report, runtime: &Runtime) {
    let grown = in_task(runtime, async move {
        let turn = turn(&without_partials().await).await;
        let mut readers: Vec<_> = (0..MANY).map(|_| turn.subscribe()).collect();
        let waiting: Vec<_> = readers.iter_mut().step_by(2).map(wait_once).collect();
        let say = |count: u64| (0..count).for_each(|_| turn.say());
        // Then the ring is full, and so is what the allocator keeps for itself.
        say(10 * PLACES as u64);
        let before = resident_bytes();
        say(1_000_000);
        let grown = resident_bytes() - before;
        drop(waiting);
        grown
    });
    let name = format!("emit/idle_readers={MANY}/chunks=1000000 (memory)");
    // A tenth of a byte for each chunk. Kept, each would take about fifty.
    report.line(&name, (grown / 1_024.0, "KiB"), None, Some(Target::AtMost(100.0)));
}

/// A read that was polled once and is never polled again.
fn wait_once(reader: &mut Subscription) -> impl Future<Output = Option<Event>> + Send + use<'_> {
    let mut read = Box::pin(reader.next());
    let poll = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(poll, Poll::Pending), "nothing was said");
    read
}
