//! The order of a batch's sends and its flush: the sends that wait for it, and the question whether there must be one.

/// A change that has to be durable before certain sends leave. The later ones hold back whatever the earlier ones do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owed {
    /// More is known of a peer than is durable, from a message that adds a vote to those of its ballot and does nothing else.
    Vote,
    /// More is known of a peer than is durable.
    Peer,
    /// The member has saved something.
    Save,
}

/// The durable things that a send rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rests {
    /// A message to a peer may rest on all that the member knows and has.
    OnAll,
    /// A message to a peer that no peer's vote has a part in.
    OnNoVote,
    /// A message that no message of a peer has a part in; and any message to a client, since no member learns from clients what
    /// another has saved.
    OnSaves,
}

impl Rests {
    fn waits_for(self, owed: Owed) -> bool {
        owed >= match self {
            Rests::OnAll => Owed::Vote,
            Rests::OnNoVote => Owed::Peer,
            Rests::OnSaves => Owed::Save,
        }
    }
}

/// The order of a batch's sends and its flush.
///
/// A send rests on what came before it in its batch, and on what earlier batches left unflushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    /// The most that is owed so far.
    owed: Option<Owed>,
    /// True if the batch may not end without a flush.
    due: bool,
}

impl Order {
    /// Lets later sends that rest on such a change wait for a flush.
    pub fn owe(&mut self, owed: Owed) {
        self.owed = self.owed.max(Some(owed));
    }

    /// Demands a flush at the end of this batch, since somebody waits for it.
    pub fn flush(&mut self) {
        self.due = true;
    }

    /// Adds a send. Returns true if it must wait for the flush at the end of this batch, which is due then.
    pub fn holds(&mut self, rests: Rests) -> bool {
        let waits = self.owed.is_some_and(|owed| rests.waits_for(owed));
        self.due |= waits;
        waits
    }

    /// True if the batch needs a flush now. What no send waits for may be put off.
    pub fn needs_flush(&self) -> bool {
        self.due
    }

    /// Ends the batch. If it was not flushed, what it owes is owed by the next one.
    pub fn end(&mut self, flushed: bool) {
        *self = Order { owed: self.owed.filter(|_| !flushed), due: false };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Rests; 3] = [Rests::OnAll, Rests::OnNoVote, Rests::OnSaves];

    fn held(order: Order) -> [bool; 3] {
        ALL.map(|rests| Order::clone(&order).holds(rests))
    }

    #[test]
    fn a_send_waits_for_what_it_rests_on_and_for_nothing_else() {
        for (owed, waits) in [
            (None, [false; 3]),
            (Some(Owed::Vote), [true, false, false]),
            (Some(Owed::Peer), [true, true, false]),
            (Some(Owed::Save), [true; 3]),
        ] {
            let order = Order { owed, due: false };
            assert_eq!(held(order), waits, "{owed:?}");
            for rests in ALL {
                let mut order = order;
                let waits = order.holds(rests);
                assert_eq!(order.needs_flush(), waits, "{owed:?} {rests:?}");
            }
        }
    }

    #[test]
    fn what_is_owed_stays_until_a_flush_and_never_becomes_less() {
        let mut order = Order::default();
        order.owe(Owed::Peer);
        order.owe(Owed::Vote);
        assert_eq!(held(order), [true, true, false]);
        order.end(false);
        assert!(!order.needs_flush(), "no send waits");
        assert_eq!(held(order), [true, true, false]);
        assert!(order.holds(Rests::OnAll) && order.needs_flush());
        order.end(true);
        assert_eq!((order, held(order)), (Order::default(), [false; 3]));
        order.flush();
        assert!(order.needs_flush() && !order.holds(Rests::OnAll));
    }
}
