//! SMTP with a relay (RFC 5321): one letter over one connection, and nothing said before it is encrypted.

use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::email::{Encryption, WITHIN};
use crate::input::secret::Secret;

/// The most bytes of one line of an answer.
const LINE: u64 = 2 << 10;
/// The most lines of one answer.
const LINES: usize = 100;
/// The name that a relay is greeted with.
const OURS: &str = "hermitcrab";

/// A letter and its way.
pub struct Envelope<'l> {
    /// The sender's address.
    pub from: &'l str,
    /// The receivers' addresses.
    pub to: Vec<&'l str>,
    /// The letter as it is written, in ASCII.
    pub letter: &'l [u8],
}

/// The reason why a relay did not take a letter.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Line(#[from] io::Error),
    #[error("it does not answer in time")]
    Slow,
    #[error("it does not encrypt")]
    InTheClear,
    #[error("it says more than belongs there")]
    TooMuch,
    #[error("it does not speak SMTP")]
    Odd,
    #[error("it knows no way to log in that is known here")]
    NoLogin,
    #[error("{code} {said}")]
    Refused { code: u16, said: String },
}

/// A connection's two directions.
trait Line: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Line for T {}

/// A talk with a relay.
struct Talk {
    line: BufReader<Box<dyn Line>>,
}

/// An answer of a relay's.
struct Answer {
    code: u16,
    /// The lines, without the code.
    lines: Vec<String>,
}

/// Connects to a relay, and gives it a letter.
pub async fn send(
    (host, port): (&str, u16),
    encryption: Encryption,
    config: Arc<ClientConfig>,
    login: Option<(&str, &Secret)>,
    envelope: &Envelope<'_>,
) -> Result<(), Fault> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = timeout(WITHIN, TcpStream::connect((host, port))).await.map_err(|_| Fault::Slow)??;
    let mut talk = match encryption {
        Encryption::Tls => Talk::with(encrypted(host, &config, Box::new(stream)).await?),
        Encryption::StartTls | Encryption::None => Talk::with(Box::new(stream)),
    };
    talk.answer().await?.expects(220)?;
    let mut known = talk.greet().await?;
    if encryption == Encryption::StartTls {
        if !known.iter().any(|word| word.eq_ignore_ascii_case("STARTTLS")) {
            return Err(Fault::InTheClear);
        }
        talk.say("STARTTLS").await?.expects(220)?;
        // Whatever was sent along in the clear could be somebody else's, and would be taken for what is encrypted.
        if !talk.line.buffer().is_empty() {
            return Err(Fault::TooMuch);
        }
        talk = Talk::with(encrypted(host, &config, talk.line.into_inner()).await?);
        known = talk.greet().await?;
    }
    if let Some((user, password)) = login {
        talk.log_in(&known, user, password).await?;
    }
    talk.hand_over(envelope).await?;
    // The letter is taken by now, whatever is said to this.
    let _ = talk.say("QUIT").await;
    Ok(())
}

async fn encrypted(host: &str, config: &Arc<ClientConfig>, line: Box<dyn Line>) -> Result<Box<dyn Line>, Fault> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream =
        timeout(WITHIN, TlsConnector::from(config.clone()).connect(name, line)).await.map_err(|_| Fault::Slow)??;
    Ok(Box::new(stream))
}

impl Talk {
    fn with(line: Box<dyn Line>) -> Self {
        Self { line: BufReader::new(line) }
    }

    /// Says who we are. Answers with what the relay can do, a line each.
    async fn greet(&mut self) -> Result<Vec<String>, Fault> {
        let mut answer = self.say(&format!("EHLO {OURS}")).await?.expects(250)?;
        answer.lines.remove(0); // the relay names itself
        Ok(answer.lines)
    }

    async fn log_in(&mut self, known: &[String], user: &str, password: &Secret) -> Result<(), Fault> {
        let ways = known.iter().filter_map(|line| {
            let (word, ways) = line.split_once([' ', '='])?;
            word.eq_ignore_ascii_case("AUTH").then_some(ways)
        });
        let ways: Vec<_> = ways.flat_map(str::split_whitespace).map(str::to_ascii_uppercase).collect();
        let knows = |way: &str| ways.iter().any(|known| known == way);
        let coded = |text: &str| BASE64_STANDARD.encode(text);
        if knows("PLAIN") {
            let both = coded(&format!("\0{user}\0{}", password.reveal()));
            self.say(&format!("AUTH PLAIN {both}")).await?.expects(235)?;
        } else if knows("LOGIN") {
            self.say("AUTH LOGIN").await?.expects(334)?;
            self.say(&coded(user)).await?.expects(334)?;
            self.say(&coded(password.reveal())).await?.expects(235)?;
        } else {
            return Err(Fault::NoLogin);
        }
        Ok(())
    }

    async fn hand_over(&mut self, envelope: &Envelope<'_>) -> Result<(), Fault> {
        self.say(&format!("MAIL FROM:<{}>", envelope.from)).await?.expects(250)?;
        for to in &envelope.to {
            let answer = self.say(&format!("RCPT TO:<{to}>")).await?;
            // 251: it is passed on to another address.
            if answer.code != 251 {
                answer.expects(250)?;
            }
        }
        self.say("DATA").await?.expects(354)?;
        self.write(&transparent(envelope.letter)).await?;
        self.answer().await?.expects(250)?;
        Ok(())
    }

    async fn say(&mut self, command: &str) -> Result<Answer, Fault> {
        self.write(format!("{command}\r\n").as_bytes()).await?;
        self.answer().await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let writing = async {
            self.line.write_all(bytes).await?;
            self.line.flush().await
        };
        Ok(timeout(WITHIN, writing).await.map_err(|_| Fault::Slow)??)
    }

    /// Reads lines up to the last one of an answer, which has a space behind its code.
    async fn answer(&mut self) -> Result<Answer, Fault> {
        timeout(WITHIN, self.lines()).await.map_err(|_| Fault::Slow)?
    }

    async fn lines(&mut self) -> Result<Answer, Fault> {
        let mut lines = Vec::new();
        while lines.len() < LINES {
            let mut line = Vec::new();
            (&mut self.line).take(LINE).read_until(b'\n', &mut line).await?;
            if !line.ends_with(b"\n") {
                let is_cut = line.len() as u64 == LINE;
                return Err(if is_cut { Fault::TooMuch } else { io::Error::from(io::ErrorKind::UnexpectedEof).into() });
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            let (code, rest) = line.split_at_checked(3).ok_or(Fault::Odd)?;
            let code = code.parse().map_err(|_| Fault::Odd)?;
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            match rest.chars().next() {
                Some('-') => {}
                None | Some(' ') => return Ok(Answer { code, lines }),
                Some(_) => return Err(Fault::Odd),
            }
        }
        Err(Fault::TooMuch)
    }
}

impl Answer {
    fn expects(self, code: u16) -> Result<Self, Fault> {
        match self.code {
            found if found == code => Ok(self),
            code => Err(Fault::Refused { code, said: self.lines.join(" ") }),
        }
    }
}

/// Writes a letter so that no line of it is taken for its end, and ends it.
fn transparent(letter: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(letter.len() + 16);
    for line in letter.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b".") {
            written.push(b'.');
        }
        written.extend_from_slice(line);
        written.extend_from_slice(b"\r\n");
    }
    written.extend_from_slice(b".\r\n");
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_letter_ends_it() {
        assert_eq!(transparent(b"a\n.\r\n..b\r\n.QUIT"), b"a\r\n..\r\n...b\r\n..QUIT\r\n.\r\n");
    }
}
