//! Conversations with front-ends, one after the other.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use super::control::{Control, Refusal};
use super::message::{Reply, Request};
use super::session::Shared;
use super::{Options, socket};
use crate::Presence;
use crate::peer::{self, End, HANDSHAKE, Host, Over, Talk, Told, Waiting, talk};

/// What is said of one whose guest will not get far.
const NOT_SHARED: &str = "a ring is not in the shared memory (is guest memory shared? share=on)";

/// Listens to what a front-end says.
pub(super) struct FrontEnds {
    options: Options,
    shared: Arc<Shared>,
    told: Told,
}

impl FrontEnds {
    pub(super) fn new(name: &str, options: Options, shared: Arc<Shared>) -> Self {
        Self { options, shared, told: Told::new(name) }
    }
}

impl Host for FrontEnds {
    fn serve(&mut self, socket: &OwnedFd, waiting: &Waiting) -> End {
        if peer::socket::open(socket).is_err() {
            return End::Lost;
        }
        let control = Control::new(self.options.clone(), self.shared.clone());
        let mut front_end = FrontEnd { control, heard: false };
        // One that listens keeps nobody away, and may take its time.
        let patience = Some(HANDSHAKE).filter(|_| !self.options.client);
        let over = talk(socket, waiting, &self.shared, patience, &mut front_end, &mut self.told);
        let Control { lacks_memory, has_begun, .. } = front_end.control;
        drop(front_end); // waits for the halves, which may see only now what the guest broke
        let over = self.shared.broken().map_or(over, Over::Broken);
        self.told.gone(&over.to_string(), Instant::now());
        match over {
            Over::Stopped => return End::Stopped,
            Over::HungUp if lacks_memory => {} // which was said
            Over::HungUp => {
                if has_begun {
                    self.told.forget();
                }
                return End::Lost;
            }
            Over::Silent => self.told.warn("who connected has said nothing within ten seconds"),
            Over::Broken(broken) => {
                self.told.warn(&format!("the guest lost its port: {broken}"));
                return End::Broken;
            }
            Over::Refused(why) => self.told.warn(&why.to_string()),
        }
        End::Refused
    }

    fn presence(&self) -> &Presence {
        self.shared.presence()
    }
}

/// Our conversation with one of them.
struct FrontEnd {
    control: Control,
    /// It has made a request: QEMU makes some at once, and then none until the guest's driver is there, and none while
    /// that is content.
    heard: bool,
}

impl Talk for FrontEnd {
    type Refusal = Box<dyn std::error::Error>;

    fn exchange(&mut self, socket: &OwnedFd, told: &mut Told) -> Result<bool, Self::Refusal> {
        self.heard = true;
        let lacked_memory = self.control.lacks_memory;
        let goes_on = hear(socket, &mut self.control, told)?;
        if self.control.lacks_memory && !lacked_memory {
            told.warn(NOT_SHARED);
        }
        Ok(goes_on)
    }

    fn is_settled(&self) -> bool {
        self.heard
    }
}

/// Carries out one request; false when the front-end has hung up.
pub(super) fn hear(
    front_end: &OwnedFd,
    control: &mut Control,
    told: &Told,
) -> Result<bool, Box<dyn std::error::Error>> {
    let Some(letter) = socket::read(front_end)? else { return Ok(false) };
    let request = letter.header.request;
    told.debug(|| match Request::parse(request, &letter.payload) {
        Some(known) => format!("hears {}", in_words(&known)),
        None => format!("hears request {request}, which is too short"),
    });
    let reply = control.request(request, letter.header.needs_reply(), &letter.payload, letter.fds);
    if let Some(reply) = reply.map_err(|e: Refusal| format!("request {request}: {e}"))? {
        told.debug(|| match reply {
            Reply::Number(number) => format!("answers {number:#x}"),
            Reply::VringBase { .. } => format!("answers {reply:?}"),
        });
        socket::reply(front_end, request, reply)?;
    }
    Ok(true)
}

/// A request by name; features as people look them up.
fn in_words(request: &Request) -> String {
    match request {
        Request::SetFeatures(bits) => format!("SetFeatures({bits:#x})"),
        Request::SetProtocolFeatures(bits) => format!("SetProtocolFeatures({bits:#x})"),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::peer::lines;
    use crate::vhost_user::driver::{Driver, Style};

    /// Serves one front-end, which says so much and hangs up.
    fn serve(front_ends: &mut FrontEnds, waiting: &Waiting, requests: &[(u32, &[u64])]) -> End {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        for (request, payload) in requests {
            let size = u32::try_from(8 * payload.len()).unwrap();
            let header = [*request, 1, size].map(u32::to_le_bytes).concat();
            let payload: Vec<_> = payload.iter().flat_map(|word| word.to_le_bytes()).collect();
            theirs.write_all(&[header, payload].concat()).unwrap();
        }
        drop(theirs);
        front_ends.serve(&ours.into(), waiting)
    }

    /// Serves a driver, which does this once it has begun, and hangs up.
    fn serve_driver(front_ends: &mut FrontEnds, waiting: &Waiting, act: fn(&mut Driver)) -> End {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let driver = std::thread::spawn(move || act(&mut Driver::start(theirs, Style::PLAIN)));
        let end = front_ends.serve(&ours.into(), waiting);
        driver.join().unwrap();
        end
    }

    fn front_ends() -> (FrontEnds, Waiting) {
        let waiting = Waiting::new("vm1").unwrap();
        let shared = Arc::new(Shared::new("vm1", &waiting, 1).unwrap());
        let options =
            Options { path: "/nowhere".into(), client: false, queues: 1, workers: 1, offloads: true };
        (FrontEnds::new("vm1", options, shared), waiting)
    }

    const CAME: &str = "vm1: connected, 2 of 2 rings, MTU 1500, checksums and segmentation";

    /// QEMU replaces a region when memory next to it comes or goes.
    #[test]
    fn memory_that_is_replaced_is_no_trouble_and_rings_without_are() {
        let (mut front_ends, waiting) = front_ends();
        let mut serve = |act| serve_driver(&mut front_ends, &waiting, act);
        let lines = lines(|| {
            let replace = |driver: &mut Driver| {
                driver.remove_memory();
                driver.add_memory();
                driver.confirm();
            };
            assert_eq!(serve(replace), End::Lost);
            let start = |driver: &mut Driver| {
                driver.remove_memory();
                driver.start_ring(0, 0);
                driver.start_ring(1, 0);
                driver.confirm();
            };
            assert_eq!(serve(start), End::Refused);
        });
        let gone = "vm1: disconnected (it has hung up)";
        assert_eq!(lines, [CAME, gone, &format!("vm1: {NOT_SHARED}")]);
    }

    #[test]
    fn descriptors_that_belong_nowhere_are_refused() {
        let (mut front_ends, waiting) = front_ends();
        let lines = lines(|| {
            let act = |driver: &mut Driver| {
                let file = std::fs::File::open("/dev/null").unwrap();
                driver.say(3, &[], &[std::os::fd::AsFd::as_fd(&file)]);
            };
            assert_eq!(serve_driver(&mut front_ends, &waiting, act), End::Refused);
        });
        assert_eq!(lines.last().unwrap(), "vm1: request 3: too many descriptors: 1, of at most 0");
    }

    #[test]
    fn the_same_trouble_is_told_once_and_paced_each_time() {
        let (mut front_ends, waiting) = front_ends();
        // A feature (`VERSION_1`), a size, addresses and a kick without a descriptor for ring 0, and no memory.
        let nowhere: [(u32, &[u64]); 4] =
            [(2, &[1 << 32]), (8, &[64 << 32]), (9, &[0, 4096, 8192, 12_288, 0]), (12, &[0x100])];
        let lines = lines(|| {
            for (requests, times, end) in [
                (&[(99, &[][..])][..], 3, End::Refused),
                (&nowhere, 3, End::Refused),
                (&[(1, &[][..])], 3, End::Lost), // it does not even read the answer
                (&nowhere, 1, End::Refused),     // nothing went well meanwhile
                (&[], 3, End::Lost),
            ] {
                for _ in 0..times {
                    assert_eq!(serve(&mut front_ends, &waiting, requests), end, "{requests:?}");
                }
            }
            assert_eq!(serve_driver(&mut front_ends, &waiting, |_| {}), End::Lost);
            assert_eq!(serve(&mut front_ends, &waiting, &nowhere), End::Refused);
        });
        let nowhere = format!("vm1: {NOT_SHARED}");
        let gone = "vm1: disconnected (it has hung up)";
        assert_eq!(lines, ["vm1: request 99: request 99 was never offered", &nowhere, CAME, gone, &nowhere]);
    }
}
