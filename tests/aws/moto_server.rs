//! moto, behind a proxy that answers the one call that moto does not know.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::endpoint::Asked;
use crate::fetch::fetch;
use crate::server::Moto;

/// Variable that tells the child why there is no moto.
pub const MISSING: &str = "HERMITCRAB_MOTO_MISSING";

/// moto and the proxy before it.
pub struct Server {
    url: String,
    _moto: Moto,
}

impl Server {
    /// Starts it, or says why it cannot be had.
    pub fn start() -> Result<Self, String> {
        let [folder] = fetch(["moto"])?;
        let settings = [("MOTO_EC2_LOAD_DEFAULT_AMIS", "false"), ("MOTO_ENABLE_AMI_VALIDATION", "1")];
        let moto = Moto::start(&folder, &settings)?;
        Ok(Self { url: proxy(moto.url.trim_start_matches("http://").to_owned()), _moto: moto })
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Passes everything on to moto but `DescribeVolumeStatus`, for which it has only a page that says so.
fn proxy(moto: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let moto = moto.clone();
            thread::spawn(move || {
                let _ = relay(stream, &moto);
            });
        }
    });
    url
}

fn relay(mut client: TcpStream, moto: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let header = |name: &str| {
            let mut lines = head.lines();
            lines.find_map(|line| line.to_lowercase().strip_prefix(name).map(|value| value.trim().to_owned()))
        };
        let mut body = vec![0; header("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body)?;
        if Asked::parse(&String::from_utf8_lossy(&body)).action() == "DescribeVolumeStatus" {
            let answer = "<DescribeVolumeStatusResponse><volumeStatusSet/></DescribeVolumeStatusResponse>";
            write!(client, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len())?;
            continue;
        }
        let mut server = TcpStream::connect(moto)?;
        let (first, rest) = head.split_once("\r\n").unwrap();
        write!(server, "{first}\r\nconnection: close\r\n{rest}")?;
        server.write_all(&body)?;
        std::io::copy(&mut server, &mut client)?;
        return Ok(());
    }
}
