//! What must hold in every interleaving.

use std::sync::atomic::{AtomicUsize as Plain, Ordering::SeqCst};
use std::time::Instant;

use loom::sync::atomic::AtomicBool;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::queue::{Manner, Queue, Refused, Ticket};

const SERVES: Manner = Manner {
    serves: true,
    waits: true,
};
const WAITS: Manner = Manner {
    serves: false,
    waits: true,
};

/// The queue, and what its entries do: each counts up its caller's number.
struct World {
    queue: Queue<usize>,
    done: Mutex<[usize; 3]>,
    replies: Condvar,
    busy: AtomicBool,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            queue: Queue::new(8),
            done: Mutex::new([0; 3]),
            replies: Condvar::new(),
            busy: AtomicBool::new(false),
        })
    }

    /// One batch. Nobody else serves meanwhile.
    fn serve(&self) {
        assert!(!self.busy.swap(true, SeqCst), "two serve at once");
        while let Some((caller, _)) = self.queue.pop(Ticket::MAX) {
            self.done.lock().expect("no panic")[caller] += 1;
            self.replies.notify_all();
        }
        self.queue.wait_for(1, Instant::now());
        self.busy.store(false, SeqCst);
    }

    fn times(&self, caller: usize) -> usize {
        self.done.lock().expect("no panic")[caller]
    }

    /// A caller: he serves, if that falls to him, and then waits for his reply. If nobody wakes up for him, the model
    /// finds that nobody can go on.
    fn call(&self, caller: usize, manner: Manner) {
        let (_, serving) = self.queue.push(caller, manner).ok().expect("open");
        if let Some(serving) = serving {
            self.serve();
            assert_eq!(self.times(caller), 1, "who serves is served");
            drop(serving);
        }
        let mut done = self.done.lock().expect("no panic");
        while done[caller] == 0 {
            done = self.replies.wait(done).expect("no panic");
        }
    }

    /// The writer's thread.
    fn run(&self) {
        while let Some(serving) = self.queue.wait() {
            while self.queue.len() > 0 {
                self.serve();
            }
            drop(serving);
        }
    }
}

fn spawn(world: &Arc<World>, work: impl FnOnce(&World) + Send + 'static) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || work(&world))
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    static MODELS: Plain = Plain::new(0);
    let mut builder = loom::model::Builder::new();
    // More preemptions find nothing new here, and take hours.
    builder.preemption_bound = Some(3);
    builder.check(move || {
        MODELS.fetch_add(1, SeqCst);
        model();
    });
    assert!(
        MODELS.load(SeqCst) > 10,
        "hardly any interleaving was tried"
    );
}

/// Two callers of some manner, and the writer's thread.
fn two_callers(first: Manner, second: Manner) {
    check(move || {
        let world = World::new();
        let writer = spawn(&world, World::run);
        let other = spawn(&world, move |world| world.call(1, second));
        world.call(0, first);
        other.join().expect("no panic");
        world.queue.close();
        writer.join().expect("no panic");
        assert_eq!((world.times(0), world.times(1)), (1, 1));
        assert!(matches!(world.queue.push(2, WAITS), Err(Refused::Closed)));
    });
}

#[test]
fn callers_that_would_serve_are_served_once() {
    two_callers(SERVES, SERVES);
}

#[test]
fn callers_that_only_wait_are_served_once() {
    two_callers(WAITS, WAITS);
}

#[test]
fn a_caller_that_only_waits_is_served_once_whoever_else_serves() {
    two_callers(WAITS, SERVES);
}

#[test]
fn an_entry_is_either_taken_back_or_served() {
    check(|| {
        let world = World::new();
        let writer = spawn(&world, World::run);
        let (ticket, _) = world.queue.push(0, WAITS).ok().expect("open");
        let back = world.queue.take_back(ticket).is_some();
        world.queue.close();
        writer.join().expect("no panic");
        assert_eq!(world.times(0), usize::from(!back));
        assert!(world.queue.take_back(ticket).is_none());
    });
}
