//! A member's handling of knocks, and a client's of welcomes.

use super::counts::Dropped;
use super::frames::Partials;
use super::guest::{self, Agreed, Knock, Met, Pact, Welcome};
use super::peer::{FIRST_GREETING, Peer};
use super::seal::{self, Header, Kind};
use super::{Arrival, Transport};
use crate::keys::{self, ClientKeys, Keys};
use crate::standing::Standing;
use std::net::SocketAddr;
use std::time::Duration;

/// The most clients that are remembered at a time. The one that was silent longest makes room.
const MOST_CLIENTS: usize = 4096;

/// A client that was heard within this time keeps its id, whoever else knocks under it.
const OWNS_ID: Duration = Duration::from_secs(10);

impl Transport {
    /// Lets a member hear a client. Nothing moves before the client has proved, in answer to a number that was given out for it, that it
    /// is there now. Nothing moves twice for one number, nor for a knock that comes again.
    pub(super) fn take_knock(
        &mut self,
        now: Duration,
        address: SocketAddr,
        header: &Header,
        datagram: &[u8],
        on: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Dropped> {
        let secret = self.host.secret(header.key)?;
        let knock = Knock::open(secret, datagram)?;
        self.host.half(knock.cluster_key)?;
        let known =
            self.clients.get_mut(&header.from).and_then(|peer| Some((peer.met.as_mut()?, &mut peer.heard)));
        let mut newest = 0;
        if let Some((met, heard)) = known {
            if knock.half != met.half && now < *heard + OWNS_ID {
                return Err(Dropped::OtherClient);
            }
            if knock.half == met.half && knock.echo == self.session && knock.number == met.number {
                if header.counter <= met.knocks {
                    return Err(Dropped::Replayed);
                }
                guest::is_proven(datagram, &met.proof)?;
                (met.knocks, *heard) = (header.counter, now);
                self.tell_listed_again(now, header.from);
                return Ok(());
            }
            newest = met.number;
        }
        let given = newest.max(self.host.forgotten) + 1..=self.host.given;
        if knock.echo == self.session && given.contains(&knock.number) {
            self.host.proofs.pass(header.from, now)?;
            let pact = self.pact(header, &knock, knock.number)?;
            guest::is_proven(datagram, &pact.knock)?;
            self.begin_visit(now, address, header, &knock, &pact);
            self.tell_listed(now, header.from);
            on(Arrival::Hello {
                from: header.from,
                standing: Standing::default(),
                binds: false,
                answer: None,
                begins: true,
            });
            return Ok(());
        }
        if knock.echo == self.session && knock.number == newest {
            // Another half, or a number that is not given out yet: no client that was welcomed says that.
            return Err(Dropped::StaleSession);
        }
        self.host.welcomes.pass(header.from, now)?;
        self.host.given += 1;
        let pact = self.pact(header, &knock, self.host.given)?;
        let welcome = Welcome {
            session: self.session,
            boot: self.standing.boot,
            number: self.host.given,
            echo: knock.session,
        };
        let reply = Header {
            kind: Kind::Welcome,
            from: self.me,
            to: header.from,
            session: seal::tag(&self.session),
            ..*header
        };
        self.loose.push((address, welcome.seal(self.host.secret(header.key)?, &reply, &pact.welcome)));
        Ok(())
    }

    /// The keys and proofs that a member and a client agree on under a number.
    fn pact(&self, header: &Header, knock: &Knock, number: u64) -> Result<Pact, Dropped> {
        let (_, half, cluster_half) = self.host.half(knock.cluster_key)?;
        let agreed = Agreed {
            cluster: self.cluster,
            client: header.from,
            member: self.me,
            cluster_half: *cluster_half,
            half: knock.half,
            visit: knock.session,
            session: self.session,
            boot: self.standing.boot,
            number,
        };
        Ok(agreed.pact(&*guest::shared(half, &knock.half)?, self.host.secret(header.key)?))
    }

    fn begin_visit(
        &mut self,
        now: Duration,
        address: SocketAddr,
        header: &Header,
        knock: &Knock,
        pact: &Pact,
    ) {
        if !self.clients.contains_key(&header.from) {
            self.make_room();
        }
        let peer = self.clients.entry(header.from).or_insert_with(|| Peer::at(address));
        self.client_pieces -= peer.partials.bytes();
        *peer = Peer::at(address);
        peer.link = Some(pact.members_link());
        peer.heard = now;
        peer.met = Some(Met {
            session: knock.session,
            number: knock.number,
            half: knock.half,
            keys: (header.key, knock.cluster_key),
            knocks: header.counter,
            proof: pact.knock.clone(),
        });
    }

    /// Forgets the client that was silent longest if there are as many as allowed.
    fn make_room(&mut self) {
        if self.clients.len() < MOST_CLIENTS {
            return;
        }
        let silent = self.clients.iter().min_by_key(|(id, peer)| (peer.heard, **id)).map(|(id, _)| *id);
        if let Some(silent) = silent {
            self.forget_client(silent);
            self.counts.forgotten_clients += 1;
        }
    }

    /// Forgets a client. Its number must not begin a session again: the counters would begin anew under the same keys.
    fn forget_client(&mut self, id: u64) {
        let Some(client) = self.clients.remove(&id) else { return };
        self.client_pieces -= client.partials.bytes();
        self.host.forgotten = self.host.forgotten.max(client.met.map_or(0, |met| met.number));
    }

    /// Replaces the keys for clients. A session goes on as long as both keys that it rests on are there.
    pub(super) fn replace_client_keys(&mut self, cluster: Option<&Keys>, clients: Option<&ClientKeys>) {
        self.host.take(cluster, clients);
        let host = &self.host;
        let may_go_on = |met: &Met| host.secret(met.keys.0).is_ok() && host.half(met.keys.1).is_ok();
        let over = self.clients.iter().filter(|(_, peer)| !peer.met.as_ref().is_some_and(may_go_on));
        let over: Vec<u64> = over.map(|(id, _)| *id).collect();
        for id in over {
            self.forget_client(id);
        }
        if let (Some(guest), Some(keys)) = (&mut self.guest, clients)
            && guest.take(keys)
        {
            for peer in self.peers.values_mut() {
                (peer.link, peer.met, peer.next_greeting) = (None, None, Duration::ZERO);
                peer.clear();
            }
        }
    }

    /// A client's knock at a member; an empty datagram from a process that is no client.
    pub(super) fn knock(&mut self, to: u64) -> Vec<u8> {
        let (Some(guest), Some(peer)) = (&self.guest, self.peers.get(&to)) else { return Vec::new() };
        self.hellos += 1;
        let header = Header {
            kind: Kind::Knock,
            key: guest.secret.id(),
            cluster: self.cluster,
            from: self.me,
            to,
            session: seal::tag(&self.session),
            counter: self.hellos,
        };
        let met = peer.met.as_ref();
        let knock = Knock {
            session: self.session,
            half: guest.public,
            cluster_key: keys::public_id(&guest.cluster),
            echo: met.map_or([0; 16], |met| met.session),
            number: met.map_or(0, |met| met.number),
        };
        knock.seal(&guest.secret, &header, met.map(|met| &met.proof))
    }

    /// Lets a client hear a member. Only a process with the cluster key can prove a welcome, and only to a knock since the present session
    /// began.
    pub(super) fn take_welcome(
        &mut self,
        now: Duration,
        header: &Header,
        datagram: &[u8],
        on: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Dropped> {
        let guest = self.guest.as_ref().ok_or(Dropped::UnknownKey)?;
        if header.key != guest.secret.id() {
            return Err(Dropped::UnknownKey);
        }
        let welcome = Welcome::open(&guest.secret, datagram)?;
        let peer = self.peers.get_mut(&header.from).ok_or(Dropped::UnknownSender)?;
        let before = peer.met.as_ref();
        if welcome.echo != self.session
            || header.counter > self.hellos
            || before.is_some_and(|met| header.counter <= met.knocks)
        {
            return Err(Dropped::StaleSession);
        }
        let agreed = Agreed {
            cluster: self.cluster,
            client: self.me,
            member: header.from,
            cluster_half: guest.cluster,
            half: guest.public,
            visit: self.session,
            session: welcome.session,
            boot: welcome.boot,
            number: welcome.number,
        };
        let shared = guest.shared.as_ref().map_err(|dropped| *dropped)?;
        let pact = agreed.pact(shared, &guest.secret);
        guest::is_proven(datagram, &pact.welcome)?;
        peer.link = Some(pact.clients_link());
        peer.partials = Partials::default();
        peer.clear();
        peer.met = Some(Met {
            session: welcome.session,
            number: welcome.number,
            half: guest.public,
            keys: (guest.secret.id(), keys::public_id(&guest.cluster)),
            knocks: self.hellos,
            proof: pact.knock,
        });
        (peer.heard, peer.unanswered, peer.pause) = (now, None, FIRST_GREETING);
        // The member hears of its number before it hears what is said under it.
        peer.next_greeting = now + FIRST_GREETING;
        let (waiting, address) = (peer.waiting.take(), peer.address);
        let knock = self.knock(header.from);
        self.loose.push((address, knock));
        on(Arrival::Hello {
            from: header.from,
            standing: Standing::default(),
            binds: false,
            answer: None,
            begins: true,
        });
        if let Some(bytes) = waiting {
            // There is a session now, and the message was measured when it was kept.
            let _ = self.send(header.from, &bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::FIRST_CLIENT;
    use crate::transport::Config;
    use x25519_dalek::{PublicKey, StaticSecret};

    const CLIENT: u64 = FIRST_CLIENT | 5;
    const CLUSTER: [u8; 32] = [1; 32];
    const SHARED: [u8; 32] = [2; 32];

    fn place(id: u64) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1000 + (id % 1000) as u16))
    }

    fn end(me: u64, cluster: [u8; 32]) -> Transport {
        let config = Config {
            cluster: 7,
            me,
            peers: if me == 0 { Vec::new() } else { vec![(0, place(0))] },
            first: None,
            cluster_keys: (me == 0).then(|| Keys::single(cluster)),
            client_keys: Some(ClientKeys::single(SHARED, &Keys::single(cluster))),
            datagram: 1200,
            max_message: 10_000,
            max_client_message: 10_000,
            standing: Standing { boot: 3, ..Standing::default() },
            session: [me as u8; 16],
        };
        Transport::new(config, fastrand::Rng::with_seed(1))
    }

    fn said(end: &mut Transport) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        end.flush(&mut |_, bytes| said.push(bytes.to_vec()));
        said
    }

    fn hear(end: &mut Transport, from: u64, datagram: &[u8]) -> usize {
        let (mut heard, now) = (0, Duration::from_secs(1));
        end.receive(now, place(from), &mut datagram.to_vec(), &mut |_| heard += 1);
        heard
    }

    /// Lets the client knock once more, a while later, and returns the knock.
    fn again(client: &mut Transport, member: &mut Transport) -> Vec<u8> {
        let now = Duration::from_secs(2);
        client.tick(now);
        let knock = said(client).remove(0);
        member.receive(now, place(CLIENT), &mut knock.clone(), &mut |_| {});
        knock
    }

    /// An attacker has the clients' key, sees and sends what it likes, and poses as member 0.
    #[test]
    fn whoever_has_the_clients_key_cannot_answer_for_a_member() {
        let mut victim = end(CLIENT, CLUSTER);
        victim.tick(Duration::from_secs(1));
        let knock = said(&mut victim).remove(0);
        let header = Header::read(&knock).expect("a header");
        let secret = ClientKeys::single(SHARED, &Keys::single(CLUSTER)).first().secret.clone();
        let heard = Knock::open(&secret, &knock).expect("it has the secret");
        let own = StaticSecret::from([9; 32]);
        let cluster_half = keys::public(Keys::single(CLUSTER).iter().next().expect("a key"));
        let agreed = |cluster_half| Agreed {
            cluster: 7,
            client: CLIENT,
            member: 0,
            cluster_half,
            half: heard.half,
            visit: heard.session,
            session: [8; 16],
            boot: 1,
            number: 1,
        };
        let reply =
            Header { kind: Kind::Welcome, from: 0, to: CLIENT, session: seal::tag(&[8; 16]), ..header };
        let welcome = Welcome { session: [8; 16], boot: 1, number: 1, echo: heard.session };
        // It tries a half of its own, named as the cluster's or as what it is; what two public halves would make; and nothing.
        let own_half = PublicKey::from(&own).to_bytes();
        let shared = guest::shared(&own, &heard.half).expect("two halves");
        for (half, shared) in [(cluster_half, *shared), (own_half, *shared), (cluster_half, [0; 32])] {
            let pact = agreed(half).pact(&shared, &secret);
            assert_eq!(hear(&mut victim, 0, &welcome.seal(&secret, &reply, &pact.welcome)), 0);
            assert!(!victim.connected(0) && said(&mut victim).is_empty(), "nothing moves");
        }
        assert_eq!(victim.counts().dropped(Dropped::Forged), 3);
        // The member itself is believed. What the attacker says after that is not.
        let mut member = end(0, CLUSTER);
        hear(&mut member, CLIENT, &knock);
        let answer = said(&mut member).remove(0);
        assert_eq!(hear(&mut victim, 0, &answer), 1);
        assert!(victim.connected(0));
        assert_eq!(hear(&mut victim, 0, &answer), 0, "once");
        let mut link = agreed(cluster_half).pact(&shared, &secret).members_link();
        let mut lie = vec![0; seal::HEADER];
        lie.extend([0; 20]);
        assert!(link.seal((7, 0, CLIENT), &mut lie));
        assert_eq!(hear(&mut victim, 0, &lie), 0);
        // A half that would make everybody's secret the same is refused.
        assert_eq!(guest::shared(&own, &[0; 32]).map(|_| ()), Err(Dropped::Malformed));
    }

    #[test]
    fn a_number_begins_a_session_once_even_if_the_client_is_forgotten() {
        let (mut member, mut client) = (end(0, CLUSTER), end(CLIENT, CLUSTER));
        client.tick(Duration::from_secs(1));
        hear(&mut member, CLIENT, &said(&mut client)[0]);
        hear(&mut client, 0, &said(&mut member)[0]);
        let second = said(&mut client).remove(0);
        // A holder of the clients' key sees the number on its way, and cannot prove that it is the client.
        let guest = client.guest.as_ref().expect("a client");
        let header = Header::read(&second).expect("a header");
        let seen = Knock::read(&second[seal::HEADER..]).expect("it is one");
        for proof in [None, Some(seal::mac(&[0; 32]))] {
            assert_eq!(hear(&mut member, CLIENT, &seen.seal(&guest.secret, &header, proof.as_ref())), 0);
        }
        assert!(!member.connected(CLIENT) && member.counts().dropped(Dropped::Forged) == 1);
        // The owner does not wait for that: it knocks again.
        let second = again(&mut client, &mut member);
        assert!(member.connected(CLIENT), "a session begins");
        assert_eq!(hear(&mut member, CLIENT, &second), 0, "once");
        member.forget_client(CLIENT);
        for second_of in 3..6 {
            let now = Duration::from_secs(second_of);
            member.receive(now, place(CLIENT), &mut second.clone(), &mut |_| {});
            assert!(!member.connected(CLIENT), "the keys would be used again from the beginning");
        }
        // A number that was not given out is worth nothing, not even to its owner: forgetting it would shut everybody out.
        let guest = client.guest.as_ref().expect("a client");
        let agreed = Agreed {
            cluster: 7,
            client: CLIENT,
            member: 0,
            cluster_half: guest.cluster,
            half: guest.public,
            visit: client.session,
            session: member.session,
            boot: 3,
            number: 1000,
        };
        let pact = agreed.pact(guest.shared.as_ref().expect("two halves"), &guest.secret);
        let mut ahead = Knock { number: 1000, ..seen }.seal(&guest.secret, &header, Some(&pact.knock));
        member.receive(Duration::from_secs(7), place(CLIENT), &mut ahead, &mut |_| {});
        assert!(!member.connected(CLIENT));
    }
}
