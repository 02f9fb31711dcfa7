use proptest::prelude::*;

use super::*;

/// The same bytes in pieces cut at these places.
fn cut(bytes: &[u8], mut places: Vec<usize>) -> Vec<Piece> {
    places.retain(|place| *place <= bytes.len());
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    let piece = |range: &[usize]| {
        let run = &bytes[range[0]..range[1]];
        Piece { start: run.as_ptr(), len: u32::try_from(run.len()).unwrap() }
    };
    places.windows(2).map(piece).collect()
}

proptest! {
    #[test]
    fn a_frame_in_pieces_reads_as_the_same_in_one(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        places in prop::collection::vec(0usize..300, 0..6),
        at in 0usize..320,
        n in 0usize..320,
    ) {
        let pieces = cut(&bytes, places);
        // SAFETY: the pieces are parts of `bytes`, which nobody writes.
        let scattered = unsafe { Frame::from_pieces(&pieces, Offload::NONE) }.unwrap();
        let whole = Frame::new(&bytes);
        prop_assert_eq!(scattered.len(), whole.len());
        prop_assert_eq!(scattered.stations(), whole.stations());
        let (mut a, mut b) = (vec![0xaa; n], vec![0xaa; n]);
        prop_assert_eq!(scattered.copy_at(at, &mut a), whole.copy_at(at, &mut b));
        prop_assert_eq!(&a, &b);
        let (rest, place) = scattered.from_piece_at(at);
        let mut c = vec![0xaa; n];
        prop_assert_eq!(rest.copy_at(place, &mut c), whole.len().saturating_sub(at).min(n));
        prop_assert_eq!(c, b);
        prop_assert_eq!(rest.len() - place.min(rest.len()), whole.len().saturating_sub(at));
        prop_assert!(place < rest.runs().next().map_or(0, |run| run.len as usize) || rest.runs().count() == 1);
        let mut copy = vec![0xaa; bytes.len() + 1];
        // SAFETY: there is room for the frame.
        unsafe { scattered.copy_to(copy.as_mut_ptr()) };
        prop_assert_eq!(&copy[..bytes.len()], &bytes[..]);
        prop_assert_eq!(copy[bytes.len()], 0xaa);
    }
}

#[test]
fn no_pieces_make_no_frame() {
    // SAFETY: there is nothing to read.
    assert!(unsafe { Frame::from_pieces(&[], Offload::NONE) }.is_none());
    let huge = [Piece { start: std::ptr::null(), len: u32::MAX }; 2];
    // SAFETY: nothing is read of what does not become a frame.
    assert!(unsafe { Frame::from_pieces(&huge, Offload::NONE) }.is_none());
}

#[test]
fn stations_are_read_in_wire_order() {
    let bytes = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 8, 0];
    let (dst, src) = Frame::new(&bytes).stations().unwrap();
    assert_eq!(dst, Mac::BROADCAST);
    assert_eq!(src, Mac::new([2, 0, 0, 0, 0, 7]));
    assert!(Frame::new(&bytes[..13]).stations().is_none());
    assert!(Frame::new(&[]).stations().is_none());
}

#[test]
fn head_is_cut_at_the_frame() {
    let bytes = [1, 2, 3];
    let mut to = [0; 5];
    assert_eq!(Frame::new(&bytes).head(&mut to), 3);
    assert_eq!(to, [1, 2, 3, 0, 0]);
}

#[test]
fn every_length_is_copied_whole_and_no_more() {
    let bytes: Vec<u8> = (0..=255).collect();
    for len in 0..=bytes.len() {
        let mut to = [0xaa; 260];
        // SAFETY: `to` is longer than any of these frames.
        unsafe { Frame::new(&bytes[..len]).copy_to(to.as_mut_ptr()) };
        assert_eq!(to[..len], bytes[..len]);
        assert!(to[len..].iter().all(|b| *b == 0xaa), "{len}");
    }
}

#[test]
fn parts_are_cut_at_the_frame() {
    let bytes = [1, 2, 3];
    let mut to = [0; 2];
    assert_eq!(Frame::new(&bytes).copy_at(1, &mut to), 2);
    assert_eq!(to, [2, 3]);
    assert_eq!(Frame::new(&bytes).copy_at(2, &mut to), 1);
    assert_eq!(to, [3, 3]);
    assert_eq!(Frame::new(&bytes).copy_at(4, &mut to), 0);
}
