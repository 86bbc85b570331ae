//! Stands before moto, and answers the calls that moto does not know.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Gives the answer to a call, of which it has the header `authorization` and the body, or none where moto has one.
pub type Answers = dyn Fn(&str, &str) -> Option<String> + Send + Sync;

/// Passes everything on to moto but what has an answer, and returns where it listens.
pub fn relay(moto: &str, answers: Arc<Answers>) -> String {
    let moto = moto.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (moto, answers) = (moto.clone(), Arc::clone(&answers));
            thread::spawn(move || {
                let _ = serve(stream, &moto, &*answers);
            });
        }
    });
    url
}

fn serve(mut client: TcpStream, moto: &str, answers: &Answers) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
        };
        let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body)?;
        if let Some(answer) = answers(&header("authorization").unwrap_or_default(), &String::from_utf8_lossy(&body)) {
            // Another relay waits for the end, and passes on that this was the last answer: whoever is not told so sends its next
            // call into a connection that is about to be closed.
            let is_last = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
            let end = if is_last { "connection: close\r\n" } else { "" };
            write!(client, "HTTP/1.1 200 OK\r\n{end}content-length: {}\r\n\r\n{answer}", answer.len())?;
            if is_last {
                return Ok(());
            }
            continue;
        }
        let answer = (0..5).find_map(|tries| {
            thread::sleep(Duration::from_millis(50) * tries);
            ask(moto, &head, &body).ok().filter(|answer| !answer.is_empty())
        });
        client.write_all(&answer.ok_or(io::ErrorKind::ConnectionReset)?)?;
        return Ok(());
    }
}

/// Asks moto, which now and then takes no connection, or closes one without an answer.
fn ask(moto: &str, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(moto)?;
    let (first, rest) = head.split_once("\r\n").unwrap();
    write!(server, "{first}\r\nconnection: close\r\n{rest}")?;
    server.write_all(body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}
