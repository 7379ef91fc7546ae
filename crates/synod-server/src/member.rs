//! The types of a member that serves.

use crate::stable::PaxosChanges;
use synod::{Process, Stable};
use synod_groups::{Groups, Stables};
use synod_runtime::disk::DirDisk;
use synod_runtime::groups::ByGroup;
use synod_runtime::node::Node;
use synod_runtime::store::Store;
use synod_runtime::wire::UdpWire;

/// A member's store.
pub type MemberStore<D> = Store<Stables<Stable>, ByGroup<PaxosChanges>, D>;
/// A member over real sockets and a real disk.
pub type UdpMember = Node<Groups<Process>, ByGroup<PaxosChanges>, DirDisk, UdpWire>;
