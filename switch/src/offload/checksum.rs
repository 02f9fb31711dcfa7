//! Checksums left open: `VIRTIO_NET_HDR_F_NEEDS_CSUM` (virtio 1.2, 5.1.6.2).

use ports::{Frame, Offload, Reason, checksum};

/// Copies the frame to `to`, which is as long, and completes its checksum: that of everything from `csum_start` on,
/// with the pseudo-header's sum standing where the checksum goes.
pub(super) fn complete(frame: &Frame<'_>, to: &mut [u8]) -> Result<(), Reason> {
    let at = checksum_at(frame.offload(), to.len())?;
    frame.head(to);
    let sum = to.get(usize::from(frame.offload().csum_start)..).map_or(0, checksum::sum);
    if let Some(field) = to.get_mut(at..at + 2) {
        field.copy_from_slice(&stored(sum).to_be_bytes());
    }
    Ok(())
}

/// What is stored of a sum: never zero, which in UDP says that there is no checksum (RFC 768), and which in ones'
/// complement means the same as 0xffff everywhere else.
pub(super) const fn stored(sum: u64) -> u16 {
    match checksum::finish(sum) {
        0 => 0xffff,
        sum => sum,
    }
}

/// Where the checksum stands, if the metadata makes sense for a frame of `len` bytes.
fn checksum_at(offload: Offload, len: usize) -> Result<usize, Reason> {
    let at = usize::from(offload.csum_start) + usize::from(offload.csum_offset);
    if offload.needs_csum() && offload.is_sound(len) { Ok(at) } else { Err(Reason::NoOffload) }
}
