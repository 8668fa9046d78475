//! The bytes of one request to the embedded broker, from the api's number on. Whatever they are, the
//! broker answers or closes the connection; a panic or an allocation without bound ends the run.

#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use nowcast_broker::{Broker, Config};
use tokio::runtime::Runtime;

struct Served {
    address: SocketAddr,
    _broker: Broker,
    _runtime: Runtime,
    _dir: tempfile::TempDir,
}

/// One broker for the whole run: what a request leaves behind is there for the next.
fn served() -> &'static Served {
    static SERVED: OnceLock<Served> = OnceLock::new();
    SERVED.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let runtime = Runtime::new().expect("a runtime");
        let mut config = Config { dir: dir.path().to_path_buf(), ..Config::default() };
        config.limits.partitions_max = 64;
        let broker = runtime.block_on(Broker::start(config)).expect("a broker");
        broker.create_topic("t", 1, &[]).expect("a topic");
        let address = broker.address();
        Served { address, _broker: broker, _runtime: runtime, _dir: dir }
    })
}

fuzz_target!(|request: &[u8]| {
    let mut stream = TcpStream::connect(served().address).expect("the broker lets clients in");
    // A join may wait for others.
    stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a time-out");
    let length = (request.len() as i32).to_be_bytes();
    let _ = stream.write_all(&[&length[..], request].concat());
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read(&mut [0; 64]);
});
