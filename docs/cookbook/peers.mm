var peer: map<u32, str>;
report var sent: map<str, u64>;
report var received: map<str, u64>;
wasi:sockets/tcp#tcp-socket.start-connect:before { peer[self] = str(remote_address); }
wasi:sockets/tcp#tcp-socket.finish-connect:after / result is ok / {
    peer[result.ok.0] = peer[self]; peer[result.ok.1] = peer[self];
}
wasi:io/streams#output-stream.*write*:before / self in peer / { sent[peer[self]] += len(contents) as u64; }
wasi:io/streams#input-stream.*read:after / self in peer / { received[peer[self]] += len(result.ok) as u64; }
wasi:*/*#*.drop:before { delete(peer[self]); }
