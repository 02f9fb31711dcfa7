//! The port as smoltcp sees it: one frame in, as many out as there is room for.

use std::num::NonZeroUsize;

use ports::{Capabilities, Offload, OffloadFlags, Time, Tx, checksum, offload::Offloads, wire};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta};

use super::flow::Flow;
use super::segment::{HEADERS, L4};

/// What the port takes, in smoltcp's terms. Fixed when the stack is made: towards a port that can do less
/// later, the switch's offload stage makes up for it.
pub(super) struct Shape {
    device: DeviceCapabilities,
    /// Checksums may be left to the port.
    checksums: bool,
    /// Bytes of the longest frame that smoltcp may make.
    longest: usize,
}

impl Shape {
    pub(super) fn new(capabilities: Capabilities) -> Self {
        let mut device = DeviceCapabilities::default();
        device.medium = Medium::Ethernet;
        device.max_transmission_unit = capabilities.frame as usize;
        // Ours to verify and to fill in, see `finish` and `Segment::is_intact`: the vectorised sum is several
        // times as fast, and offloads are a frame's affair, not a device's.
        device.checksum.tcp = Checksum::None;
        let mut longest = capabilities.frame as usize;
        let checksums = capabilities.offloads.contains(Offloads::CSUM);
        if checksums && capabilities.offloads.contains(Offloads::TSO4) {
            let limit = capabilities.super_frame.min(65_535 + 14) as usize;
            let mss = longest.saturating_sub(HEADERS).max(1);
            // Whole segments only: a short one inside a stream costs the receiver as much as a full one.
            let whole = HEADERS + limit.saturating_sub(HEADERS) / mss * mss;
            if whole > longest {
                longest = whole;
                device.segmentation.tcpv4 = NonZeroUsize::new(whole);
            }
        }
        Self { device, checksums, longest }
    }

    /// IP MTU.
    pub(super) fn mtu(&self) -> usize {
        self.device.ip_mtu()
    }

    /// Finishes a frame that smoltcp wrote: fills the TCP checksum in, or leaves it to the port.
    fn finish(&self, frame: &mut [u8], gso_size: u16) -> Offload {
        let Some((ip, tcp)) = frame.get_mut(14..).and_then(|f| f.split_at_mut_checked(L4 - 14)) else {
            return Offload::NONE;
        };
        let pseudo = checksum::pseudo_header(&ip[12..16], &ip[16..20], wire::TCP, tcp.len());
        let Some(field) = tcp.get_mut(16..18) else { return Offload::NONE };
        if !self.checksums {
            field.fill(0);
            let sum = checksum::finish(pseudo + checksum::sum(tcp));
            tcp[16..18].copy_from_slice(&sum.to_be_bytes());
            return Offload::NONE;
        }
        field.copy_from_slice(&checksum::fold(pseudo).to_be_bytes());
        let mut offload = Offload {
            flags: OffloadFlags::NEEDS_CSUM.bits(),
            csum_start: L4 as u16,
            csum_offset: 16,
            ..Offload::NONE
        };
        if gso_size > 0 {
            offload.gso_type = Offload::GSO_TCPV4;
            offload.gso_size = gso_size;
            offload.hdr_len = L4 as u16 + u16::from(tcp[12] >> 4) * 4;
        }
        offload
    }
}

/// The port during one call into smoltcp, on behalf of one connection.
pub(super) struct Wire<'a> {
    pub(super) shape: &'a Shape,
    pub(super) tx: &'a mut dyn Tx,
    /// The frame that smoltcp is to receive.
    pub(super) frame: Option<&'a [u8]>,
    /// The connection whose segments these are.
    pub(super) flow: Option<&'a mut Flow>,
    pub(super) tally: &'a mut Tally,
    pub(super) now: Time,
}

/// What was sent in one pass, and what was not.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) frames: u64,
    pub(super) bytes: u64,
    /// The port had no room for one more.
    pub(super) full: bool,
    /// Replies that found no room: they are made while a frame is received, and cannot wait.
    pub(super) lost: u64,
    scratch: Vec<u8>,
}

impl Tally {
    /// Starts a pass.
    pub(super) fn clear(&mut self) {
        (self.frames, self.bytes, self.full, self.lost) = (0, 0, false, 0);
    }
}

impl Device for Wire<'_> {
    type RxToken<'t>
        = Received<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Room<'t>
    where
        Self: 't;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received<'_>, Room<'_>)> {
        let frame = self.frame.take()?;
        Some((Received(frame), self.room()))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Room<'_>> {
        // smoltcp takes a segment for sent once it holds a token, so there must be room for the longest.
        if self.tx.reserve(self.shape.longest).is_none() {
            self.tally.full = true;
            return None;
        }
        Some(self.room())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.shape.device.clone()
    }
}

impl<'a> Wire<'a> {
    /// A port without a frame, a connection or a clock.
    pub(super) fn idle(shape: &'a Shape, tx: &'a mut dyn Tx, tally: &'a mut Tally) -> Self {
        Self { shape, tx, frame: None, flow: None, tally, now: Time::ZERO }
    }

    fn room(&mut self) -> Room<'_> {
        Room {
            shape: self.shape,
            tx: self.tx,
            flow: self.flow.as_deref_mut(),
            tally: self.tally,
            now: self.now,
            gso_size: 0,
        }
    }
}

/// A frame, in the port's memory.
pub(super) struct Received<'a>(&'a [u8]);

impl smoltcp::phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a frame, in the port's memory.
pub(super) struct Room<'a> {
    shape: &'a Shape,
    tx: &'a mut dyn Tx,
    flow: Option<&'a mut Flow>,
    tally: &'a mut Tally,
    now: Time,
    gso_size: u16,
}

impl smoltcp::phy::TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let Some(slot) = self.tx.reserve(len).and_then(|slot| slot.get_mut(..len)) else {
            self.tally.lost += 1;
            self.tally.scratch.resize(len, 0);
            return f(&mut self.tally.scratch);
        };
        let result = f(slot);
        let mut offload = Offload::NONE;
        if slot.get(12..14) == Some(&[8, 0]) && slot.get(23) == Some(&wire::TCP) {
            offload = self.shape.finish(slot, self.gso_size);
            if let Some(flow) = self.flow {
                observe(flow, slot, self.now);
            }
        }
        self.tx.commit(len, offload);
        self.tally.frames += 1;
        self.tally.bytes += len as u64;
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.gso_size = meta.segmentation_offload_size.map_or(0, std::num::NonZero::get);
    }
}

/// Tells the flow of a segment that smoltcp wrote: never with IP options, never tagged.
fn observe(flow: &mut Flow, frame: &[u8], now: Time) {
    let Some(h) = frame.get(L4..).and_then(|tcp| tcp.first_chunk::<20>()) else { return };
    let len = frame.len().saturating_sub(L4 + usize::from(h[12] >> 4) * 4);
    let seq = u32::from_be_bytes([h[4], h[5], h[6], h[7]]);
    let ack = u32::from_be_bytes([h[8], h[9], h[10], h[11]]);
    flow.sent(seq, u32::try_from(len).unwrap_or(0), h[13], ack, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn super_frames_hold_whole_segments() {
        let shape = Shape::new(Capabilities::all(1500));
        assert_eq!((shape.longest - HEADERS) % 1460, 0);
        assert!(shape.longest > 62 * 1024);
        assert_eq!(shape.mtu(), 1500);
    }

    #[test]
    fn a_wire_gets_plain_frames() {
        let shape = Shape::new(Capabilities::wire(9000));
        assert_eq!(shape.longest, 9014);
        assert!(!shape.checksums);
        assert!(shape.device.segmentation.tcpv4.is_none());
    }
}
