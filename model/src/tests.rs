//! What must hold in every interleaving.

use std::sync::atomic::{AtomicUsize as Plain, Ordering::SeqCst};
use std::time::Instant;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize};
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
    done: [AtomicUsize; 3],
    busy: AtomicBool,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            queue: Queue::new(8),
            done: [const_zero(), const_zero(), const_zero()],
            busy: AtomicBool::new(false),
        })
    }

    /// One batch. Nobody else serves meanwhile.
    fn serve(&self) {
        assert!(!self.busy.swap(true, SeqCst), "two serve at once");
        while let Some(caller) = self.queue.pop(Ticket::MAX) {
            self.done[caller].fetch_add(1, SeqCst);
        }
        self.queue.wait_for(1, Instant::now());
        self.busy.store(false, SeqCst);
    }

    fn times(&self, caller: usize) -> usize {
        self.done[caller].load(SeqCst)
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

fn const_zero() -> AtomicUsize {
    AtomicUsize::new(0)
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
    assert!(MODELS.load(SeqCst) > 10, "hardly any interleaving was tried");
}

#[test]
fn every_entry_is_served_once_whoever_serves() {
    check(|| {
        let world = World::new();
        let writer = thread::spawn({
            let world = Arc::clone(&world);
            move || world.run()
        });
        let caller = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let (_, serving) = world.queue.push(1, SERVES).ok().expect("open");
                if let Some(serving) = serving {
                    world.serve();
                    drop(serving);
                }
            }
        });
        // A caller that does not serve: the writer must wake up for it.
        assert!(world.queue.push(0, WAITS).ok().expect("open").1.is_none());
        caller.join().expect("no panic");
        world.queue.close();
        writer.join().expect("no panic");
        assert_eq!((world.times(0), world.times(1)), (1, 1));
        assert!(matches!(world.queue.push(2, WAITS), Err(Refused::Closed)));
    });
}

#[test]
fn two_callers_that_would_serve_need_no_writer_to_wake_for_the_first() {
    check(|| {
        let world = World::new();
        let writer = thread::spawn({
            let world = Arc::clone(&world);
            move || world.run()
        });
        let call = |world: &World, caller| {
            let (_, serving) = world.queue.push(caller, SERVES).ok().expect("open");
            if serving.is_some() {
                world.serve();
                assert_eq!(world.times(caller), 1, "who serves is served");
            }
        };
        let other = thread::spawn({
            let world = Arc::clone(&world);
            move || call(&world, 1)
        });
        call(&world, 0);
        other.join().expect("no panic");
        world.queue.close();
        writer.join().expect("no panic");
        assert_eq!((world.times(0), world.times(1)), (1, 1));
    });
}

#[test]
fn an_entry_is_either_taken_back_or_served() {
    check(|| {
        let world = World::new();
        let writer = thread::spawn({
            let world = Arc::clone(&world);
            move || world.run()
        });
        let (ticket, _) = world.queue.push(0, WAITS).ok().expect("open");
        let back = world.queue.take_back(ticket).is_some();
        world.queue.close();
        writer.join().expect("no panic");
        assert_eq!(world.times(0), usize::from(!back));
        assert!(world.queue.take_back(ticket).is_none());
    });
}
