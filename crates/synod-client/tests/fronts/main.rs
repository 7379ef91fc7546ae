//! The fronts against a cluster over real sockets: what they return, from many threads, through the end of the leader.

mod cluster;
#[cfg(feature = "tokio")]
mod tasks;
mod threads;
#[path = "../../examples/tour.rs"]
mod tour;

#[test]
fn the_example_runs() {
    let cluster = cluster::Cluster::start(synod_machine::Limits::default());
    tour::tour(&cluster.config).expect("it finds everything as it says");
}
