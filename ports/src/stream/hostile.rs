//! A stream of bytes from a peer that means harm.

use super::LENGTH;
use super::incoming::Incoming;
use crate::{BURST, Capabilities};

/// Goes through a stream: of the input, the first byte says how many frames are asked for at a time, and the second how many
/// bytes are read, and the third how many frames are kept; the rest is the stream.
///
/// # Panics
/// If what comes out is not what a simple reading of the stream finds.
pub fn bytes(input: &[u8]) {
    let [limit, most, kept, stream @ ..] = input else { return };
    let (limit, most, kept) = (usize::from(*limit) + 1, usize::from(*most) + 1, usize::from(*kept % 8));
    let (mut incoming, mut left, mut frames) = (Incoming::default(), stream, Vec::new());
    loop {
        let enough = incoming.parse(limit.min(BURST));
        let found = incoming.frames().map(|frame| frame.to_vec()).collect::<Vec<_>>();
        let given = found.len().saturating_sub(if left.is_empty() { 0 } else { kept });
        frames.extend(found.into_iter().take(given));
        incoming.release(given);
        match enough {
            Ok(true) if given > 0 => continue,
            Ok(_) if left.is_empty() => break,
            Ok(_) => {}
            Err(_) => {
                frames.extend(incoming.frames().map(|frame| frame.to_vec()));
                break;
            }
        }
        let room = incoming.room();
        let n = left.len().min(room.len()).min(most);
        room[..n].copy_from_slice(&left[..n]);
        incoming.add(n);
        left = &left[n..];
    }
    assert_eq!(frames, expected(stream));
}

/// The frames of a stream as far as it makes sense.
fn expected(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk::<LENGTH>() {
        let len = u32::from_be_bytes(*length) as usize;
        if !(1..=Capabilities::MAX_SUPER_FRAME as usize).contains(&len) || rest.len() < len {
            break;
        }
        frames.push(rest[..len].to_vec());
        stream = &rest[len..];
    }
    frames
}

#[cfg(test)]
mod tests {
    use crate::contract::corpus;

    #[test]
    fn the_corpus_does_no_harm() {
        for (name, input) in corpus("stream") {
            eprintln!("{name}");
            super::bytes(&input);
        }
    }
}
