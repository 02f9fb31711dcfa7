//! Virtual ports: two frame rings, one each way, between an app and the switch.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::ring::{Consumer, Landing, Producer, SLOT, ring};
use crate::{
    Burst, Capabilities, Counters, Error, Frame, Offload, Port, Reason, Rings, Rx, Sent, Slot, Tx, queues,
};

/// Slots of each ring unless asked otherwise: 2 MiB of 2 KiB slots, as VALE's 1024.
pub const DEFAULT_SLOTS: u16 = 1024;

/// The two ends of a virtual cable: what one end transmits, the other receives. Both take what `capabilities`
/// says. The first is by custom the switch's end, the second the app's.
///
/// # Errors
/// If `slots` is not a power of two in 64..=16384, or memory cannot be had.
pub fn pair(name: &str, slots: u16, capabilities: Capabilities) -> Result<(Port, Port), Error> {
    cable(name, slots, capabilities, Arc::default())
}

/// As [`pair`], with several pairs of rings: the first end is one port, the second one port a queue. Frames of a flow
/// come out at one queue, in order.
///
/// # Errors
/// As [`pair`], or if `queues` is not in 1..=[`MAX_QUEUES`](queues::MAX_QUEUES).
pub fn with_queues(
    name: &str,
    queues: usize,
    slots: u16,
    capabilities: Capabilities,
) -> Result<(Port, Vec<Port>), Error> {
    queues::check(name, queues)?;
    let counters = Arc::<Counters>::default();
    let cables = (0..queues).map(|_| cable(name, slots, capabilities, counters.clone()));
    let (near, far): (Vec<_>, Vec<_>) = cables.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    Ok((queues::join(name, near, counters)?, far))
}

/// A cable whose first end counts here.
fn cable(
    name: &str,
    slots: u16,
    capabilities: Capabilities,
    counters: Arc<Counters>,
) -> Result<(Port, Port), Error> {
    let (to_app, from_switch) = ring(name, slots)?;
    let (to_switch, from_app) = ring(name, slots)?;
    let end = |producer: Producer, consumer, counters: Arc<Counters>| {
        let rx = VirtualRx { consumer, counters: counters.clone() };
        let page_bytes = producer.page_bytes() as u64;
        let tx = VirtualTx { producer, capabilities };
        let rings = Rings {
            tx_slots: slots.into(),
            rx_slots: slots.into(),
            tx_rings: 1,
            rx_rings: 1,
            memory_bytes: 2 * u64::from(slots) * SLOT as u64,
            page_bytes,
        };
        Port { counters, rings, ..Port::new(rx, tx) }
    };
    Ok((end(to_app, from_app.eager(), counters), end(to_switch, from_switch, Arc::default())))
}

struct VirtualRx {
    consumer: Consumer,
    counters: Arc<Counters>,
}

impl Rx for VirtualRx {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        let broken = self.consumer.receive(burst);
        if broken > 0 {
            self.counters.add_drops(Reason::Error, broken);
        }
    }

    fn release(&mut self, n: usize) {
        self.consumer.release(n);
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.consumer.fd())
    }

    fn arm(&mut self) -> bool {
        self.consumer.arm()
    }

    fn disarm(&mut self) {
        self.consumer.disarm();
    }

    fn room(&self) -> Option<u32> {
        Some(self.consumer.room().into())
    }
}

struct VirtualTx {
    producer: Producer,
    capabilities: Capabilities,
}

impl Tx for VirtualTx {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        self.producer.transmit(frames)
    }

    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.producer.reserve(len)
    }

    fn reserve_labelled(&mut self, len: usize) -> Option<Slot<'_>> {
        self.producer.reserve_labelled(len)
    }

    fn commit(&mut self, len: usize, offload: Offload) {
        self.producer.commit(len, offload);
    }

    fn repeat(&mut self, n: usize) -> usize {
        self.producer.repeat(n)
    }

    fn flush(&mut self) -> bool {
        self.producer.flush();
        true
    }

    fn landing(&self) -> Option<Landing> {
        Some(self.producer.landing())
    }
}
