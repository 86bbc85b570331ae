//! moto, the EC2 endpoint that somebody else wrote.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A running moto. It ends with the test.
pub struct Moto {
    pub url: String,
    process: Child,
}

impl Moto {
    /// Starts one from the folder that it was fetched into, with settings from its environment.
    pub fn start(folder: &str, settings: &[(&str, &str)]) -> Result<Self, String> {
        let mut process = Command::new("python3")
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONPATH", folder)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("moto does not start: {error}"))?;
        let log = BufReader::new(process.stderr.take().unwrap());
        let (tell, told) = mpsc::channel();
        // The output is read for as long as moto writes, because moto stops when the pipe is full.
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once("Running on ") {
                    let _ = tell.send(url.trim().to_owned());
                }
                if line.contains("NotImplementedError") {
                    eprintln!("moto: {line}");
                }
            }
        });
        let mut moto = Self { url: String::new(), process };
        moto.url = told.recv_timeout(Duration::from_secs(90)).map_err(|_| "moto does not say where it listens")?;
        Ok(moto)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
