//! Flags of netmap's pkt-gen that mean little or nothing outside of netmap.

use clap::Args;

use super::within;
use crate::{Config, Error};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Flags of netmap's that change little here")]
pub(super) struct NetmapArgs {
    /// Slots of the rings of a port of a switch; the other numbers are without meaning
    #[arg(short = 'C', value_name = "SLOTS[,...]", value_delimiter = ',', num_args = 1)]
    rings: Vec<u16>,
    /// Options as a sum: 64 is -X, 256 -r, 512 -z, 1024 -Z, 2048 -A; the others are without meaning
    #[arg(short = 'o', value_name = "MASK", default_value_t = 0, hide_default_value = true)]
    options: u32,
    /// Bytes of a virtio-net header (0, 10 or 12): without meaning
    #[arg(short = 'H', value_name = "BYTES")]
    virtio_header: Option<u32>,
    /// Slots that a frame is spread over (1 to 63): without meaning
    #[arg(short = 'F', value_name = "COUNT", value_parser = within(1..=63))]
    fragments: Option<u32>,
    /// Bytes of such a slot: without meaning
    #[arg(short = 'M', value_name = "BYTES", allow_negative_numbers = true)]
    fragment_size: Option<i64>,
    /// Indirect buffers: without meaning
    #[arg(short = 'I')]
    indirect: bool,
}

/// Bits of `-o`, what netmap calls them, and what becomes of them.
const OPTIONS: [(u32, &str, &str); 6] = [
    (1, "PREFETCH", NOTHING),
    (2, "ACCESS", NOTHING),
    (4, "COPY", "whether a frame is written anew depends on the port"),
    (8, "MEMCPY", "whether a frame is written anew depends on the port"),
    (16, "TS", "frames carry the time in -f ping, and with --stamp"),
    (4096, "UPDATE_CSUM", "lengths and checksums are right for every size anyway"),
];
const NOTHING: &str = "without meaning outside of netmap";
const INDIRECT: u32 = 32;
const DUMP: u32 = 64;
const RUBBISH: u32 = 256;
const RANDOM_SRC: u32 = 512;
const RANDOM_DST: u32 = 1024;
const AVERAGES: u32 = 2048;

impl NetmapArgs {
    /// A number that netmap refuses, too.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.virtio_header {
            Some(value) if ![0, 10, 12].contains(&value) => Err(Error::VirtioHeader { value }),
            _ => Ok(()),
        }
    }

    /// What `-o` asks for that other flags ask for, too.
    pub(super) const fn apply(&self, config: &mut Config) {
        config.dump |= self.dumps();
        config.frames.rubbish |= self.sends_rubbish();
        config.frames.random_src |= self.options & RANDOM_SRC != 0;
        config.frames.random_dst |= self.options & RANDOM_DST != 0;
    }

    /// Whether `-o` asks for `-X`.
    pub(super) const fn dumps(&self) -> bool {
        self.options & DUMP != 0
    }

    /// Whether `-o` asks for `-r`.
    pub(super) const fn sends_rubbish(&self) -> bool {
        self.options & RUBBISH != 0
    }

    /// Whether `-o` asks for `-A`.
    pub(super) const fn averages(&self) -> bool {
        self.options & AVERAGES != 0
    }

    /// The name of the port, with the slots of `-C` where a name takes them.
    pub(super) fn sized(&self, port: &str) -> String {
        match self.slots() {
            Some(slots) if takes_slots(port) => format!("{port}@virtual:slots={slots}"),
            _ => port.to_owned(),
        }
    }

    /// One number is for both directions here: the larger.
    fn slots(&self) -> Option<u16> {
        self.rings.iter().take(2).copied().max().filter(|slots| *slots > 0)
    }

    /// One line for each flag that does not do what it does in netmap.
    pub(super) fn notes(&self, port: &str) -> Vec<String> {
        let mut notes = self.notes_of_rings(port);
        let mut note = |given: bool, text: &str| {
            if given {
                notes.push(text.to_owned());
            }
        };
        note(
            self.virtio_header.is_some_and(|len| [10, 12].contains(&len)),
            "-H: offload metadata goes beside the frame here, on every port; nothing is put before it",
        );
        note(
            self.fragments.is_some_and(|n| n > 1),
            "-F: without meaning here: a long frame takes the slots it needs",
        );
        note(self.fragment_size.is_some(), "-M: without meaning here: the size of a slot is the port's");
        note(
            self.indirect || self.options & INDIRECT != 0,
            "-I: without meaning here: the switch copies from slots",
        );
        let known = OPTIONS.iter().fold(0, |mask, (bit, ..)| mask | bit);
        for (bit, name, what) in OPTIONS {
            note(self.options & bit != 0, &format!("-o {bit} ({name}): {what}"));
        }
        let rest = self.options & !(known | INDIRECT | DUMP | RUBBISH | RANDOM_SRC | RANDOM_DST | AVERAGES);
        note(rest != 0, &format!("-o {rest}: no such option"));
        notes
    }

    fn notes_of_rings(&self, port: &str) -> Vec<String> {
        let mut notes = Vec::new();
        match self.slots() {
            Some(slots) if !takes_slots(port) => notes.push(format!(
                "-C: without meaning on {port}: the name of a port says how many slots it has (vale0:1@virtual:slots={slots})"
            )),
            _ => {}
        }
        if self.rings.iter().skip(2).any(|rings| *rings > 0) {
            notes.push(
                "-C: the third and fourth number are without meaning: rings are those of the threads (-p)"
                    .to_owned(),
            );
        }
        notes
    }
}

/// Whether the port is made for this run, and its name leaves open how.
fn takes_slots(port: &str) -> bool {
    port.starts_with("vale") && !port.contains(['@', '^'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        netmap: NetmapArgs,
    }

    fn parse(line: &str) -> NetmapArgs {
        Line::try_parse_from(["pkt-gen"].into_iter().chain(line.split_whitespace())).unwrap().netmap
    }

    #[test]
    fn each_flag_says_one_line_and_does_no_harm() {
        for (line, expected) in [
            ("", &[][..]),
            ("-H 0 -F 1 -o 0", &[]),
            ("-H 12", &["-H: offload"]),
            ("-H 11", &[]), // refused, which is a line
            ("-F 9 -M 64 -I", &["-F: without", "-M: without", "-I: without"]),
            ("-o 64", &[]),
            ("-o 2048", &[]),
            ("-o 29", &["-o 1 (PREFETCH)", "-o 4 (COPY)", "-o 8 (MEMCPY)", "-o 16 (TS)"]),
            ("-o 4384", &["-I: without", "-o 4096 (UPDATE_CSUM)"][..]),
            ("-o 24704", &["-o 24704: no such option"]),
            ("-C 512", &[]),
            ("-C 512,512,4", &["-C: the third and fourth"]),
            ("-C 512,512,1,1", &["-C: the third and fourth"]),
            ("-C 512,512,0,0", &[]),
        ] {
            let notes = parse(line).notes("vale0:1");
            assert_eq!(notes.len(), expected.len(), "{line}: {notes:?}");
            assert!(
                notes.iter().zip(expected).all(|(note, start)| note.starts_with(start)),
                "{line}: {notes:?}"
            );
        }
    }

    #[test]
    fn rings_go_to_the_name_of_the_port() {
        let sized = |line, port| parse(line).sized(port);
        assert_eq!(sized("-C 512", "vale0:1"), "vale0:1@virtual:slots=512");
        assert_eq!(sized("-C 64,256", "vale0:1"), "vale0:1@virtual:slots=256");
        assert_eq!(sized("-C 0", "vale0:1"), "vale0:1");
        assert_eq!(sized("-C 512", "vale0:1@virtual:slots=64"), "vale0:1@virtual:slots=64");
        assert_eq!(sized("-C 512", "eth0"), "eth0");
        assert!(parse("-C 512").notes("eth0")[0].starts_with("-C: without meaning on eth0"));
    }

    #[test]
    fn options_stand_for_flags() {
        let mut config = Config::default();
        parse("-o 1856").apply(&mut config);
        assert!(config.dump && config.frames.rubbish && config.frames.random_src && config.frames.random_dst);
        assert!(!parse("-o 1856").averages() && parse("-o 2048").averages());
    }

    #[test]
    fn a_header_has_one_of_three_lengths() {
        assert_eq!(parse("-H 10").check(), Ok(()));
        assert_eq!(
            parse("-H 11").check().unwrap_err().to_string(),
            "-H 11: a virtio-net header has 0, 10 or 12 bytes (try: without -H)"
        );
        assert!(Line::try_parse_from(["pkt-gen", "-F", "64"]).is_err());
        assert!(Line::try_parse_from(["pkt-gen", "-C", "x"]).is_err());
    }
}
