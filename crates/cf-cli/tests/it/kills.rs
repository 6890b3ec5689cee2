//! Two people write a thousand messages each way while every process that they
//! run is killed at random, again and again.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use cf_testkit::SeededRandom;
use serde_json::{Value, json};

use crate::Town;

const MESSAGES: usize = 1000;
/// How many messages a sender has given without an answer.
const WINDOW: usize = 64;
/// How long everything may take that is left after the last kill.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn a_thousand_messages_each_way_survive_every_process_that_is_killed() {
    everything_survives(&Town::with_two(), setting("CF_KILLS", 25));
}

/// Kills so many processes, one at random at a time.
pub(crate) fn everything_survives(town: &Town, kills: u64) {
    let random = &mut SeededRandom::new(setting("CF_FIRST_SEED", 0));
    let mut senders = [
        Sender::new(town, "saro", "Raya"),
        Sender::new(town, "raya", "Saro"),
    ];
    let mut readers = [Reader::new(town, "saro"), Reader::new(town, "raya")];
    for kill in 0..kills {
        let allowed = MESSAGES * (kill as usize + 1) / kills as usize;
        let until = Instant::now() + Duration::from_millis(50 + random.below(300));
        while Instant::now() < until {
            turn(&mut senders, &mut readers, allowed);
        }
        match random.below(4) {
            victim @ 0..2 => senders[victim as usize].kill(town),
            victim => readers[victim as usize - 2].kill(town),
        }
    }
    let until = Instant::now() + PATIENCE;
    while senders.iter().any(|sender| sender.answered < MESSAGES)
        || readers
            .iter()
            .any(|reader| reader.messages().count() < MESSAGES)
    {
        turn(&mut senders, &mut readers, MESSAGES);
        let answered = senders.each_ref().map(|sender| sender.answered);
        let read = readers.each_ref().map(|reader| reader.messages().count());
        assert!(
            Instant::now() < until,
            "answered {answered:?}, read {read:?}"
        );
    }
    for (reader, from) in readers.iter().zip(["raya", "saro"]) {
        let expected: Vec<_> = (0..MESSAGES).map(|number| id(from, number)).collect();
        let printed: Vec<_> = reader.messages().map(|event| event["id"].clone()).collect();
        assert!(
            printed == expected,
            "{} did not read all of it once and in order",
            reader.who
        );
    }
    drop((senders, readers));
    for (who, from) in [("saro", "raya"), ("raya", "saro")] {
        let log = town.json(who, &["read", "--since", "0"]);
        let logged = log.iter().filter(|event| event["event"] == "message");
        let logged: Vec<_> = logged.map(|event| event["id"].clone()).collect();
        let expected: Vec<_> = (0..MESSAGES).map(|number| id(from, number)).collect();
        assert!(
            logged == expected,
            "the log of {who} has not all of it once and in order"
        );
        let gaps = log.iter().filter(|event| event["event"] == "gap").count();
        assert_eq!(gaps, 0, "nothing was waited for in vain");
        // The same id again sends nothing.
        let peer = if who == "saro" { "Raya" } else { "Saro" };
        let again = town.json(
            who,
            &[
                "send",
                peer,
                "again",
                "--id",
                id(who, 7).as_str().expect("text"),
            ],
        );
        assert!(
            ["accepted", "delivered", "read"]
                .contains(&again[0]["state"].as_str().expect("a state"))
        );
    }
}

fn turn(senders: &mut [Sender; 2], readers: &mut [Reader; 2], allowed: usize) {
    senders.iter_mut().for_each(|sender| sender.turn(allowed));
    readers.iter_mut().for_each(Reader::turn);
    thread::sleep(Duration::from_millis(2));
}

fn id(from: &str, number: usize) -> Value {
    format!("{from} {number}").into()
}

struct Sender {
    who: &'static str,
    peer: &'static str,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    given: usize,
    answered: usize,
}

impl Sender {
    fn new(town: &Town, who: &'static str, peer: &'static str) -> Self {
        let (child, input, lines) = Self::start(town, who, peer);
        Self {
            who,
            peer,
            child,
            input,
            lines,
            given: 0,
            answered: 0,
        }
    }

    fn start(town: &Town, who: &str, peer: &str) -> (Child, ChildStdin, Receiver<String>) {
        let mut command = town.command(who, &["--json", "send", peer, "-"]);
        let mut child = command
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("it was built");
        let input = child.stdin.take().expect("a pipe");
        let lines = lines(&mut child);
        (child, input, lines)
    }

    /// Gives what may be given, and takes the answers.
    fn turn(&mut self, allowed: usize) {
        while let Ok(line) = self.lines.try_recv() {
            let Ok(answer) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            assert_eq!(answer["id"], id(self.who, self.answered), "{answer}");
            assert_ne!(answer["state"], "failed");
            self.answered += 1;
        }
        while self.given < allowed.min(self.answered + WINDOW) {
            let line =
                json!({ "id": id(self.who, self.given), "text": format!("number {}", self.given) });
            if writeln!(self.input, "{line}").is_err() {
                let Some(status) = self.child.try_wait().expect("it is ours") else {
                    return;
                };
                let mut errors = String::new();
                let _ = std::io::Read::read_to_string(
                    &mut self.child.stderr.take().expect("a pipe"),
                    &mut errors,
                );
                panic!("the sender of {} ended: {status}: {errors}", self.who);
            }
            self.given += 1;
        }
    }

    fn kill(&mut self, town: &Town) {
        kill(&mut self.child);
        self.turn(0);
        (self.child, self.input, self.lines) = Self::start(town, self.who, self.peer);
        // An answer may have been lost: what has none is given again.
        self.given = self.answered;
    }
}

struct Reader {
    who: &'static str,
    child: Child,
    lines: Receiver<String>,
    events: BTreeMap<u64, Value>,
}

impl Reader {
    fn new(town: &Town, who: &'static str) -> Self {
        let mut child = town.spawn(who, &["--json", "read", "--follow"]);
        let lines = lines(&mut child);
        let events = BTreeMap::new();
        Self {
            who,
            child,
            lines,
            events,
        }
    }

    /// Takes what was printed; what comes again is the same under its number.
    fn turn(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            let Ok(event) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            let seq = event["seq"].as_u64().expect("every event has one");
            let last = self.events.last_key_value().map_or(0, |(seq, _)| *seq);
            assert!(seq <= last + 1, "{} was told {seq} after {last}", self.who);
            let before = self.events.insert(seq, event.clone());
            assert!(
                before.is_none_or(|before| before == event),
                "{event} was another before"
            );
        }
    }

    fn kill(&mut self, town: &Town) {
        kill(&mut self.child);
        self.turn();
        self.child = town.spawn(self.who, &["--json", "read", "--follow"]);
        self.lines = lines(&mut self.child);
    }

    fn messages(&self) -> impl Iterator<Item = &Value> {
        self.events
            .values()
            .filter(|event| event["event"] == "message")
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

/// SIGKILL. A process that has ended by itself was not asked to.
fn kill(child: &mut Child) {
    if let Some(status) = child.try_wait().expect("it is ours") {
        let mut errors = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut stderr, &mut errors);
        }
        if !thread::panicking() {
            panic!("a process ended by itself: {status}: {errors}");
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads whole lines until the pipe is closed.
fn lines(child: &mut Child) -> Receiver<String> {
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
