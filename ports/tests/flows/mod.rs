//! UDP flows whose frames are numbered: what comes out of several queues is in order, flow by flow.

use ports::contract::{Far, STATION, Wire, frame};
use ports::{Burst, Frame, Offload, Port};

pub(crate) const FLOWS: u16 = 64;

/// Sends so many frames of each flow, in turn; the kernel spreads flows over queues.
pub(crate) fn send_flows(far: &mut Wire, frames_per_flow: u32) {
    for number in 0..frames_per_flow {
        for flow in 0..FLOWS {
            let mut f = frame(number, 60);
            f[12..14].copy_from_slice(&[0x08, 0x00]);
            f[14..34].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            f[34..36].copy_from_slice(&flow.to_be_bytes());
            f[36..42].copy_from_slice(&[0, 9, 0, 26, 0, 0]); // no checksum
            f[42..46].copy_from_slice(&number.to_be_bytes());
            assert!(far.send(&f, Offload::NONE));
        }
    }
}

/// The flow of a frame of `send_flows`, and its number.
fn flow_of(f: &[u8]) -> Option<(u16, u32)> {
    let ours = Frame::new(f).stations()?.1 == STATION;
    ours.then(|| (u16::from_be_bytes([f[34], f[35]]), u32::from_be_bytes([f[42], f[43], f[44], f[45]])))
}

/// Takes up to `most` frames that there are, of which those of `send_flows` are counted, and checks the order of each flow.
pub(crate) fn take_flows(port: &mut Port, next: &mut [u32; FLOWS as usize], most: usize) -> u32 {
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    let keep = burst.len().min(most);
    let flows: Vec<_> = burst[..keep].iter().filter_map(|f| flow_of(&f.to_vec())).collect();
    drop(burst);
    port.rx.release(keep);
    for (flow, number) in &flows {
        let next = &mut next[usize::from(*flow)];
        assert!(number >= next, "flow {flow} out of order");
        *next = number + 1;
    }
    u32::try_from(flows.len()).expect("a burst")
}
