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
use synod_groups::{Groups, InGroup, Stables};
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
    group: u8,
    next: Instance,
    replica: Replica,
}

impl Due {
    /// The machine that a group of a member has set aside, if it has.
    fn of(group: u8, state: &ProcessState) -> Option<Due> {
        let due = state.server()?.log.as_ref()?.snapshots.as_ref()?.due.as_ref();
        due.map(|(next, replica)| Due { group, next: *next, replica: replica.clone() })
    }

    /// Has the machine write itself, and makes the file if its bytes are to stand apart. This may take seconds.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn file<D: Disk>(&self, disk: &D) -> Result<Option<Writing<D::File>>, Refusal> {
        let machine = self.replica.snapshot();
        let sum = self.replica.checksum();
        let snapshot = Snapshot { next: self.next, sum, machine };
        let apart = apart(&snapshot).map(|apart| Apart { group: self.group, ..apart });
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

/// Looks after a member's snapshots, one at a time. Groups that have one due take turns.
#[derive(Debug)]
pub struct Beside<B> {
    writer: B,
    stage: Stage,
    /// The last group.
    last: u8,
    /// The group that has the next turn.
    turn: u8,
}

#[derive(Debug)]
enum Stage {
    Idle,
    Writing(u8, Instance),
    /// The machine is durable. The state before the step that saves it is kept: the writer takes it apart, and not the loop.
    Ready(u8, Instance, Box<ProcessState>),
}

impl<B: Writer> Beside<B> {
    /// Has a member wait for the writer with its snapshots. From now on [`Beside::attend`] must follow each turn of its loop.
    ///
    /// `groups` is the number of its groups, from 1 to 64.
    pub fn new<C, D, W>(node: &mut Node<Groups<Process>, C, D, W>, groups: usize, writer: B) -> Beside<B>
    where
        C: Changes<Stables<Stable>> + Door<Groups<Process>>,
        D: Disk,
        W: Wire,
    {
        let last = (groups.max(1) - 1) as u8;
        for group in 0..=last {
            node.hold(InGroup { group, what: Timer::Snapshot });
        }
        Beside { writer, stage: Stage::Idle, last, turn: 0 }
    }

    /// The writer.
    pub fn writer(&mut self) -> &mut B {
        &mut self.writer
    }

    /// Hands over what is to be written, and lets the step come that saves what was written.
    ///
    /// # Errors
    /// When a snapshot cannot be written. The member must stop.
    pub fn attend<C, D, W>(&mut self, node: &mut Node<Groups<Process>, C, D, W>) -> Result<(), Refusal>
    where
        C: Changes<Stables<Stable>> + Door<Groups<Process>>,
        D: Disk,
        W: Wire,
    {
        let Some(states) = node.state() else { return Ok(()) };
        let ended = || Refusal::whole("the thread that writes snapshots", Why::Stopped);
        if let Stage::Writing(group, next) = self.stage {
            match self.writer.written() {
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(ended()),
                Ok(written) => {
                    let Some(state) = states.of(group) else { return Ok(()) };
                    self.stage = Stage::Ready(group, next, Box::new(state.clone()));
                    if let Some(apart) = written? {
                        node.wrote(apart);
                    }
                }
            }
        }
        let due = |group: u8| Due::of(group, node.state()?.of(group)?);
        if let Stage::Ready(group, next, _) = self.stage {
            if due(group).is_some_and(|due| due.next == next) {
                node.release(&InGroup { group, what: Timer::Snapshot });
                return Ok(());
            }
            // The step has come, or another machine was set aside in place of this one.
            if let Stage::Ready(.., state) = std::mem::replace(&mut self.stage, Stage::Idle) {
                self.writer.drop(state);
            }
        }
        let turns = (self.turn..=self.last).chain(0..self.turn);
        if let Some(due) = turns.into_iter().find_map(due) {
            self.turn = if due.group == self.last { 0 } else { due.group + 1 };
            self.stage = Stage::Writing(due.group, due.next);
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
