//! Several sockets on one interface, among which the kernel spreads the frames that arrive (packet(7), `PACKET_FANOUT`).

use std::os::fd::AsFd;

use rustix::net::{RecvFlags, recv};

use crate::Error;
use crate::kernel::{option, set_option};

/// linux/if_packet.h
const PACKET_FANOUT: i32 = 18;
const PACKET_FANOUT_HASH: u32 = 0;
const PACKET_FANOUT_FLAG_UNIQUEID: u32 = 0x2000;

/// Makes one group of bound sockets. Frames that came before are discarded: until then every socket had all of them.
///
/// # Errors
/// [`Error::Unsupported`] if the kernel has no groups of this kind.
pub(super) fn join(name: &str, sockets: &[impl AsFd]) -> Result<(), Error> {
    let mut number = PACKET_FANOUT_FLAG_UNIQUEID << 16; // of the kernel's choice
    for socket in sockets {
        let asked = set_option(socket, libc::SOL_PACKET, PACKET_FANOUT, number | PACKET_FANOUT_HASH << 16);
        let chosen = asked.and_then(|()| option(socket, libc::SOL_PACKET, PACKET_FANOUT));
        let [chosen] = chosen.map_err(|e| {
            let what = format!("PACKET_FANOUT of AF_PACKET: {e} (try: -p 1)");
            Error::Unsupported { name: name.to_owned(), what }
        })?;
        number = chosen & 0xffff;
    }
    sockets.iter().for_each(discard);
    Ok(())
}

/// Frames that a socket may hold after it was bound, at the most: who sends all the time is not waited for.
const MOST: usize = 100_000;

fn discard(socket: &impl AsFd) {
    let mut start = [0; 64]; // the rest of a frame goes with it
    (0..MOST).take_while(|_| recv(socket, &mut start[..], RecvFlags::DONTWAIT).is_ok()).for_each(drop);
}
