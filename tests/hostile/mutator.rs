//! Mutations of bytes: what editors, broken copies and people with bad intentions make of a file.

/// Pieces that mean something to one of the readers.
const PIECES: [&str; 28] = [
    "\0",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{200b}",
    "\u{feff}",
    "\r\n",
    "\t",
    "\n\n",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "&a ",
    "*a",
    "!!str ",
    "<<",
    "~",
    "-1",
    "18446744073709551616",
    "1e309",
    ".nan",
    "null",
    "::error::x\n",
    "%s%n",
];

/// A source of mutations, which depend on a seed alone.
pub struct Mutator {
    state: u64,
}

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// A number below `most`, by xorshift.
    fn below(&mut self, most: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).unwrap() % most.max(1)
    }

    /// Makes one to six changes.
    pub fn mutated(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_owned();
        for _ in 0..=self.below(6) {
            self.change(&mut bytes);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + 1 + self.below(40)).min(bytes.len());
        match self.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let copied = bytes[at.min(end)..end].to_owned();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, copied);
            }
            3 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            4 => {
                let line = |at: usize| bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |found| found + 1);
                let copied = bytes[line(at)..end.max(line(at))].to_owned();
                bytes.splice(line(at)..line(at), copied);
            }
            5 => {
                let digit = bytes[at..].iter().position(u8::is_ascii_digit);
                if let Some(digit) = digit {
                    bytes[at + digit] = b'0' + u8::try_from(self.below(10)).unwrap();
                }
            }
            _ => {
                let piece = PIECES[self.below(PIECES.len())].repeat(1 + self.below(3));
                bytes.splice(at..at, piece.bytes());
            }
        }
    }
}
