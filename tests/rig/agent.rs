//! The SSM agent of an instance that serves no member: it carries out the commands that somebody sends to it, as `AWS-RunShellScript`
//! does, in a folder and an environment of its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::process::{self, Process};

/// SSM shows so much of what a command has said.
const SHOWN: usize = 24_000;

/// Every host with an agent: the rig's hosts share a folder and their credentials.
pub struct Agent {
    pub folder: PathBuf,
    pub environment: Vec<(String, String)>,
    commands: RefCell<BTreeMap<String, Sent>>,
}

struct Sent {
    instance: String,
    process: Process,
    code: Option<Option<i32>>,
}

impl Agent {
    pub fn new(folder: PathBuf, environment: Vec<(String, String)>) -> Self {
        fs::create_dir_all(&folder).unwrap();
        Self { folder, environment, commands: RefCell::default() }
    }

    /// Answers a call of SSM that is about commands, and no other.
    pub fn answer(&self, action: &str, body: &[u8]) -> Option<(u16, String)> {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let answer = match action {
            "SendCommand" => self.send(&asked),
            "GetCommandInvocation" => self.invocation(&asked),
            "CancelCommand" => {
                if let Some(sent) = self.commands.borrow_mut().get_mut(asked["CommandId"].as_str().unwrap()) {
                    sent.process.kill();
                }
                json!({})
            }
            // Every host that is asked about is online.
            "DescribeInstanceInformation" => {
                let id = &asked["Filters"][0]["Values"][0];
                json!({ "InstanceInformationList": [{ "InstanceId": id, "PingStatus": "Online" }] })
            }
            _ => return None,
        };
        Some(match answer.get("__type") {
            Some(_) => (400, answer.to_string()),
            None => (200, answer.to_string()),
        })
    }

    fn send(&self, asked: &Value) -> Value {
        assert_eq!(asked["DocumentName"], "AWS-RunShellScript", "{asked}");
        let lines = asked["Parameters"]["commands"].as_array().unwrap();
        let lines: Vec<_> = lines.iter().map(|line| line.as_str().unwrap()).collect();
        let mut commands = self.commands.borrow_mut();
        let id = format!("00000000-0000-0000-0000-{:012}", commands.len() + 1);
        let script = self.folder.join(format!("{id}.sh"));
        fs::write(&script, lines.join("\n")).unwrap();
        let mut command = process::command("sh");
        command.arg(&script).current_dir(&self.folder).env_clear().envs(self.environment.iter().cloned());
        let process = Process::start_apart(command, &self.said(&id, "out"), &self.said(&id, "err"));
        let instance = asked["InstanceIds"][0].as_str().unwrap().to_owned();
        commands.insert(id.clone(), Sent { instance: instance.clone(), process, code: None });
        json!({ "Command": { "CommandId": id, "Status": "Pending", "InstanceIds": [instance] } })
    }

    fn invocation(&self, asked: &Value) -> Value {
        let id = asked["CommandId"].as_str().unwrap();
        let mut commands = self.commands.borrow_mut();
        let Some(sent) = commands.get_mut(id).filter(|sent| asked["InstanceId"] == *sent.instance) else {
            return json!({ "__type": "InvocationDoesNotExist", "message": "no such command" });
        };
        if sent.code.is_none() {
            sent.code = sent.process.ended().map(|status| status.code());
        }
        let status = match sent.code {
            None => "InProgress",
            Some(Some(0)) => "Success",
            Some(Some(_)) => "Failed",
            Some(None) => "Cancelled",
        };
        let code = sent.code.flatten().unwrap_or(-1);
        let [out, err] = ["out", "err"].map(|name| match sent.code {
            Some(_) => shown(&fs::read_to_string(self.said(id, name)).unwrap_or_default()),
            None => String::new(),
        });
        json!({
            "CommandId": id, "InstanceId": sent.instance, "Status": status, "ResponseCode": code,
            "StandardOutputContent": out, "StandardErrorContent": err,
        })
    }

    fn said(&self, id: &str, name: &str) -> PathBuf {
        self.folder.join(format!("{id}.{name}"))
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
