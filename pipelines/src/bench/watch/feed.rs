//! Results of a feed of server-sent events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::task::JoinHandle;

use super::{Fields, Seen};
use crate::bench::load::Plan;

/// Between two looks at the wish to stop.
const POLL: Duration = Duration::from_millis(50);

/// Longer lines are no results.
const LINE_BYTES_MAX: usize = 16 << 20;

pub async fn watch(
    plan: &Arc<Plan>,
    seen: &Arc<Seen>,
    fields: Fields,
    url: &str,
    headers: &BTreeMap<String, String>,
) -> Result<JoinHandle<Result<()>>> {
    let client = super::client(headers)?;
    let response = client.get(url).header("accept", "text/event-stream").send().await?;
    if !response.status().is_success() {
        bail!("{url}: {}", response.status());
    }
    let (plan, seen, url) = (Arc::clone(plan), Arc::clone(seen), url.to_owned());
    Ok(tokio::spawn(async move {
        let read = read(&plan, &seen, &fields, response).await;
        read.with_context(|| format!("{url}: the feed cannot be read on"))
    }))
}

async fn read(
    plan: &Plan,
    seen: &Seen,
    fields: &Fields,
    mut response: reqwest::Response,
) -> Result<()> {
    let mut events = Events::default();
    while !seen.stops() {
        let Ok(chunk) = tokio::time::timeout(POLL, response.chunk()).await else { continue };
        let Some(chunk) = chunk? else { bail!("it has ended") };
        let now = plan.elapsed();
        events.push(&chunk, |event| match event {
            Event::Message(data) => seen.result(fields, data, now),
            Event::Other(name, data) => seen.failed(format!("event \"{name}\": {data}")),
        });
        if events.line.len() > LINE_BYTES_MAX {
            bail!("a line is longer than {LINE_BYTES_MAX} bytes");
        }
    }
    Ok(())
}

/// An event of the stream.
#[derive(Debug, PartialEq)]
enum Event<'a> {
    Message(&'a [u8]),
    /// One with a name of its own, such as a server's word that it has left rows out.
    Other(&'a str, &'a str),
}

/// Puts events together out of the pieces that come, as the HTML standard has it (9.2.6).
#[derive(Default)]
struct Events {
    /// The line that is not complete.
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
}

impl Events {
    fn push(&mut self, chunk: &[u8], mut give: impl FnMut(Event<'_>)) {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.last() == Some(&b'\n') {
                let mut line = std::mem::take(&mut self.line);
                line.pop();
                line.pop_if(|byte| *byte == b'\r');
                self.take(&line, &mut give);
                line.clear();
                self.line = line;
            }
        }
    }

    fn take(&mut self, line: &[u8], give: &mut impl FnMut(Event<'_>)) {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"" if line.is_empty() => {
                if !self.data.is_empty() {
                    let data = self.data.strip_suffix(b"\n").unwrap_or(&self.data);
                    match self.name.as_str() {
                        "" | "message" => give(Event::Message(data)),
                        name => give(Event::Other(name, &String::from_utf8_lossy(data))),
                    }
                }
                self.name.clear();
                self.data.clear();
            }
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_the_bytes_are_cut() {
        let stream = ": hello\r\nretry: 1000\r\n\r\nid: 1\r\ndata: {\"a\":1}\r\n\r\ndata:x\ndata: y\n\n\
                      event: skipped\ndata: {\"rows\":3}\n\nevent: message\ndata: z\n\ndata: cut";
        let expected = ["message {\"a\":1}", "message x\ny", "skipped {\"rows\":3}", "message z"];
        for size in [1, 2, 3, 7, stream.len()] {
            let (mut events, mut given) = (Events::default(), vec![]);
            for chunk in stream.as_bytes().chunks(size) {
                events.push(chunk, |event| {
                    given.push(match event {
                        Event::Message(data) => {
                            format!("message {}", String::from_utf8_lossy(data))
                        }
                        Event::Other(name, data) => format!("{name} {data}"),
                    });
                });
            }
            assert_eq!(given, expected, "{size}");
        }
    }
}
