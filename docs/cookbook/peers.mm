var peer: map<handle, str>;
report var sent: map<str, sum>;
report var received: map<str, sum>;
wasi:sockets/tcp#tcp-socket.start-connect:before { peer[handle(self)] = str(remote_address); }
wasi:sockets/tcp#tcp-socket.finish-connect:after / result is ok / {
    peer[handle(result.ok.0)] = peer[self]; peer[handle(result.ok.1)] = peer[self];
}
wasi:io/streams#output-stream.*write*:before / self in peer / { sent[peer[self]] = sum(len(contents)); }
wasi:io/streams#input-stream.*read:after / self in peer / { received[peer[self]] = sum(len(result.ok)); }
