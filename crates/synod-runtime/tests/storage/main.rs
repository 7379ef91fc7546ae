//! Stable storage under cuts, flipped bits, crashes and failing disks.

mod compaction;
mod crashes;
mod damage;
mod failures;
mod reference;
