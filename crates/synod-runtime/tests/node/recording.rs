//! The contents of a flight record, and its size.

use crate::world::{Do, Scene, client, member, pass, plain, said};
use synod_runtime::inbox::Limits;
use synod_runtime::record::{Reader, Trigger};
use synod_runtime::sim_disk::SimDisk;

#[test]
fn a_long_message_is_in_the_record_once_and_is_read_whenever_it_came() {
    let mut scene = Scene::new(1);
    let tape = member(&mut scene, &SimDisk::new(), plain(), Limits { batch: 3, ..Limits::default() });
    let long = |first: u32| Do::Draw((first..first + 400).collect());
    let script: Vec<Do> = (0..30).map(|number| long(1000 * (number % 2))).collect();
    client(&mut scene, &script);
    pass(&mut scene, 200).expect("nobody stops");
    assert!(!said(&mut scene).is_empty());
    let bytes = tape.bytes();
    let mut reader = Reader::open(&bytes).expect("it is a record");
    let mut came = Vec::new();
    while let Some(entry) = reader.next() {
        if let Trigger::Deliver { msg, .. } = entry.expect("it is whole").event {
            came.push(postcard::from_bytes::<Do>(msg).expect("it is a message"));
        }
    }
    // The network changes their order, and nothing else.
    assert_eq!(came.len(), 30);
    assert!(script[..2].iter().all(|one| came.iter().filter(|what| *what == one).count() == 15));
    let one = postcard::to_allocvec(&script[0]).expect("plain data").len();
    assert!(bytes.len() < 8 * one, "{} bytes for 30 messages, two of {one} bytes", bytes.len());
}
