//! Snapshots written beside the loop, so that it never stands still for one (spec D9, H6).
//!
//! A snapshot takes two steps of the protocol: one sets the machine aside, and a later one saves it. Between them a [`Writer`] writes
//! the machine into a file of its own and makes that durable. The timer of the second step is held until then. So that step has no
//! more to do than to name the file. The models let the timer ring whenever it will, so they explore every order that a
//! writer can bring about.

use crate::stable::apart;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use synod::{Instance, Process, ProcessState, Replica, Snapshot, Stable, Timer};
use synod_runtime::apart::{Apart, Writing};
use synod_runtime::changes::Changes;
use synod_runtime::disk::{DirDisk, Disk};
use synod_runtime::door::Door;
use synod_runtime::node::Node;
use synod_runtime::refusal::{Refusal, Why};
use synod_runtime::wire::{Waker, Wire};

/// A machine that was set aside, and has to be written.
#[derive(Clone, Debug)]
pub struct Due {
    next: Instance,
    replica: Replica,
}

impl Due {
    /// The machine that a member has set aside, if it has.
    fn of(state: &ProcessState) -> Option<Due> {
        let due = state.server()?.log.as_ref()?.snapshots.as_ref()?.due.as_ref();
        due.map(|(next, replica)| Due { next: *next, replica: replica.clone() })
    }

    /// Has the machine write itself, and makes the file if its bytes are to stand apart. This may take seconds.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn file<D: Disk>(&self, disk: &D) -> Result<Option<Writing<D::File>>, Refusal> {
        let machine = self.replica.snapshot();
        let sum = self.replica.machine().checksum();
        let snapshot = Snapshot { next: self.next, sum, machine };
        let apart = apart(&snapshot);
        apart.map(|apart| Writing::create(disk, apart, snapshot.machine.shared())).transpose()
    }
}

/// The outcome of writing a machine: the name of its file, or nothing if its bytes are few and need none.
pub type Written = Result<Option<Apart>, Refusal>;

/// Writes machines while the loop goes on: one at a time.
pub trait Writer {
    /// Begins to write a machine. Returns false if this writer has ended.
    fn write(&mut self, due: Due) -> bool;

    /// The outcome of the machine that was handed over last.
    ///
    /// # Errors
    /// When it is not written yet, or when this writer has ended.
    fn written(&mut self) -> Result<Written, TryRecvError>;

    /// Drops a state. That takes as long as the state shares little with others.
    fn drop(&mut self, state: Box<ProcessState>);
}

/// Looks after a member's snapshots.
#[derive(Debug)]
pub struct Beside<B> {
    writer: B,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Idle,
    Writing(Instance),
    /// The machine is durable. The state before the step that saves it is kept: the writer takes it apart, and not the loop.
    Ready(Instance, Box<ProcessState>),
}

impl<B: Writer> Beside<B> {
    /// Has a member wait for the writer with its snapshots. From now on [`Beside::attend`] must follow each turn of its loop.
    pub fn new<C, D, W>(node: &mut Node<Process, C, D, W>, writer: B) -> Beside<B>
    where
        C: Changes<Stable> + Door<Process>,
        D: Disk,
        W: Wire,
    {
        node.hold(Timer::Snapshot);
        Beside { writer, stage: Stage::Idle }
    }

    /// The writer.
    pub fn writer(&mut self) -> &mut B {
        &mut self.writer
    }

    /// Hands over what is to be written, and lets the step come that saves what was written.
    ///
    /// # Errors
    /// When a snapshot cannot be written. The member must stop.
    pub fn attend<C, D, W>(&mut self, node: &mut Node<Process, C, D, W>) -> Result<(), Refusal>
    where
        C: Changes<Stable> + Door<Process>,
        D: Disk,
        W: Wire,
    {
        let Some(state) = node.state() else { return Ok(()) };
        let ended = || Refusal::whole("the thread that writes snapshots", Why::Stopped);
        if let Stage::Writing(next) = self.stage {
            match self.writer.written() {
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(ended()),
                Ok(written) => {
                    self.stage = Stage::Ready(next, Box::new(state.clone()));
                    if let Some(apart) = written? {
                        node.wrote(apart);
                    }
                }
            }
        }
        let due = node.state().and_then(Due::of);
        if let Stage::Ready(next, _) = self.stage {
            if due.as_ref().is_some_and(|due| due.next == next) {
                node.release(&Timer::Snapshot);
                return Ok(());
            }
            // The step has come, or another machine was set aside in place of this one.
            if let Stage::Ready(_, state) = std::mem::replace(&mut self.stage, Stage::Idle) {
                self.writer.drop(state);
            }
        }
        if let Some(due) = due {
            self.stage = Stage::Writing(due.next);
            if !self.writer.write(due) {
                return Err(ended());
            }
        }
        Ok(())
    }
}

/// A thread that writes. It ends when this is dropped.
#[derive(Debug)]
pub struct WriterThread {
    orders: Option<Sender<Order>>,
    told: Receiver<Written>,
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Order {
    Write(Due),
    Drop(Box<ProcessState>),
}

impl WriterThread {
    /// Starts the thread. It wakes the loop whenever it has written something.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(disk: DirDisk, waker: Arc<Waker>) -> io::Result<WriterThread> {
        let (orders, ordered) = channel();
        let (tell, told) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stops = stop.clone();
        let thread = std::thread::Builder::new().name("snapshots".to_owned()).spawn(move || {
            for order in ordered {
                match order {
                    Order::Drop(state) => drop(state),
                    Order::Write(due) => {
                        let Some(written) = write(&due, &disk, &stops) else { return };
                        if tell.send(written).is_err() {
                            return;
                        }
                        // Without a wake-up the news waits for the loop's next turn; nothing is lost.
                        let _ = waker.wake();
                    }
                }
            }
        })?;
        Ok(WriterThread { orders: Some(orders), told, thread: Some(thread), stop })
    }

    fn order(&self, order: Order) -> bool {
        self.orders.as_ref().is_some_and(|orders| orders.send(order).is_ok())
    }
}

impl Writer for WriterThread {
    fn write(&mut self, due: Due) -> bool {
        self.order(Order::Write(due))
    }

    fn written(&mut self) -> Result<Written, TryRecvError> {
        self.told.try_recv()
    }

    fn drop(&mut self, state: Box<ProcessState>) {
        self.order(Order::Drop(state));
    }
}

impl Drop for WriterThread {
    /// Waits for the thread: it must not write into a directory that another process may open.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Writes a machine. Returns `None` if it was told to stop before the end.
fn write(due: &Due, disk: &DirDisk, stop: &AtomicBool) -> Option<Written> {
    let mut writing = match due.file(disk) {
        Ok(Some(writing)) => writing,
        Ok(None) => return Some(Ok(None)),
        Err(refusal) => return Some(Err(refusal)),
    };
    while !stop.load(Ordering::Relaxed) {
        match writing.piece(disk) {
            Ok(true) => return Some(Ok(Some(writing.apart()))),
            Ok(false) => {}
            Err(refusal) => return Some(Err(refusal)),
        }
    }
    None
}
