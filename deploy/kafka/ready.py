"""Waits until the Kafka on PORT, process PID, is ready; fails when it ends or SECONDS have passed.

    ready.py PORT PID CLUSTER_ID SECONDS

Ready is a Metadata answer that names a broker and our own cluster: an open port comes too early, and
on a port that somebody else took first it would be the wrong Kafka.
"""

import os
import socket
import struct
import sys
import time

METADATA, VERSION, CORRELATION = 3, 2, 7


def brokers(port: int, cluster: str) -> int:
    """How many brokers our cluster on this port knows; 0 for another cluster."""
    body = struct.pack(">hhih2si", METADATA, VERSION, CORRELATION, 2, b"up", 0)
    with socket.create_connection(("127.0.0.1", port), 1) as connection:
        connection.settimeout(2)
        connection.sendall(struct.pack(">i", len(body)) + body)
        (length,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
        answer = connection.recv(length, socket.MSG_WAITALL)
    (count,) = struct.unpack(">i", answer[4:8])
    return count if cluster.encode() in answer else 0


def main() -> None:
    port, pid, cluster, seconds = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except OSError:
            sys.exit("kafka ended before it was ready")
        try:
            if brokers(port, cluster) >= 1:
                return
        except (OSError, struct.error):
            pass
        time.sleep(0.05)
    sys.exit(f"kafka was not ready after {seconds:.0f} s")


main()
