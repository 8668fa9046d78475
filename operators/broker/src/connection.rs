//! One client's connection: frames in, answers out, one at a time and in order.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;

use crate::api::{self, Buffers, Client, Outcome};
use crate::server::Shared;
use crate::stats::Stats;

/// Buffers up to this size are kept for the next request: most are of about the same size.
const BUFFER_KEPT_MAX: usize = 1536 << 10;
/// Small requests are read ahead in pieces of this size.
const READ_AHEAD_BYTES: usize = 16 << 10;

pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, shared: &Shared) {
    Stats::add(&shared.stats.connections, 1);
    let ended = run(stream, peer, shared).await;
    shared.stats.connections.fetch_sub(1, Relaxed);
    if let Err(reason) = ended {
        tracing::debug!(client = %peer, %reason, "connection closed");
    }
}

async fn run(stream: TcpStream, peer: SocketAddr, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut client = Client { id: String::new(), peer, local: stream.local_addr()? };
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::with_capacity(READ_AHEAD_BYTES, reader);
    let mut frame = BytesMut::new();
    let mut buffers = Buffers::default();
    let limits = &shared.config.limits;
    loop {
        let length = tokio::select! {
            length = timeout(limits.idle_max, reader.read_i32()) => length,
            () = shared.stopped() => return Ok(()),
        };
        let bytes = match length {
            Ok(Ok(length)) => request_bytes(length, shared)?,
            Ok(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(Err(e)) => return Err(e),
            Err(_) => return Ok(()),
        };
        let held = shared.memory.hold(bytes).await;
        timeout(limits.transfer_max, read_frame(&mut reader, &mut frame, bytes)).await??;
        Stats::add(&shared.stats.requests, 1);
        Stats::add(&shared.stats.bytes_in, bytes as u64);
        let request = frame.split().freeze();
        let outcome = api::answer(shared, &mut client, request, held, &mut buffers).await;
        match outcome {
            Outcome::Answer(held) => {
                timeout(limits.transfer_max, writer.write_all(&buffers.out)).await??;
                Stats::add(&shared.stats.bytes_out, buffers.out.len() as u64);
                drop(held);
            }
            Outcome::Silence => {}
            Outcome::Close(reason) => {
                tracing::warn!(client = %peer, %reason, "request not understood");
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        }
        for buffer in [&mut frame, &mut buffers.out, &mut buffers.scratch] {
            buffer.clear();
            if buffer.capacity() > BUFFER_KEPT_MAX {
                *buffer = BytesMut::new();
            }
        }
    }
}

fn request_bytes(length: i32, shared: &Shared) -> io::Result<usize> {
    let bytes_max = shared.config.limits.request_bytes_max;
    match usize::try_from(length) {
        Ok(bytes) if bytes <= bytes_max => Ok(bytes),
        _ => {
            let reason = format!("request of {length} bytes, request_bytes_max is {bytes_max}");
            tracing::warn!(%reason);
            Err(io::Error::new(io::ErrorKind::InvalidData, reason))
        }
    }
}

async fn read_frame(
    reader: &mut BufReader<OwnedReadHalf>,
    frame: &mut BytesMut,
    bytes: usize,
) -> io::Result<()> {
    frame.reserve(bytes);
    let mut rest = reader.take(bytes as u64);
    while frame.len() < bytes {
        if rest.read_buf(frame).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
