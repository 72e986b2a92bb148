// chaos: typed faults by chance: errors, short reads, dropped connections, latency; a seed, its faults.
param seed: u64 = 1;
param rate: f64 = 0.05;
param what = "errors,short,dropped,latency";
param on = "fs,net,http,kv";
param ms: u32 = 20;
// Numbers of faults, with commas between them: these and no others, whatever the rate.
param only = "";

report var faults: map<str, u64>;
report var chances: u64;

const fs = on.contains("fs");
const net = on.contains("net");
const http = on.contains("http");
const kv = on.contains("kv");
const errors = what.contains("errors");
const short = what.contains("short");
const dropped = what.contains("dropped");
const latency = what.contains("latency");

// Streams of files, connections and bodies, and whether they were dropped; never the standard ones.
var streams: map<handle, bool>;
// Streams that were last told to wait: not twice in a row, for who asks again must get on.
var stalled: map<handle, bool>;

// SplitMix64, of the seed and the number of the chance.
fn mixed(number: u64) -> u64 {
    var z: u64 = seed * 0xD1B54A32D192ED03 + number * 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

// Whether this chance becomes a fault; says so, with its number.
fn due(component: str, func: str, fault: str) -> bool {
    chances++;
    var id: str = component == "" ? str(chances) : component + ":" + str(chances);
    if (only == "") {
        if ((mixed(chances) >> 11) as f64 >= rate * 9007199254740992.0) { return false; }
    } elif (!("," + only + ",").contains("," + id + ",")) { return false; }
    faults[func + ": " + fault]++;
    print("fault {}: {}: {}", id, func, fault);
    return true;
}

wasm:begin / !what.matches("^((errors|short|dropped|latency)(,|$))+$") / {
    print("chaos: what={} is no list of errors, short, dropped and latency", what);
}
wasm:begin / !on.matches("^((fs|net|http|kv)(,|$))+$") / {
    print("chaos: on={} is no list of fs, net, http and kv", on);
}

// --- files
?wit:import:wasi:filesystem/types@0.2#descriptor.{open-at,create-directory-at,unlink-file-at,remove-directory-at,rename-at,link-at,symlink-at,stat-at}:alt / fs && errors / {
    if (due(component, func, "access")) { fail("access"); }
}
?wit:import:wasi:filesystem/types@0.2#descriptor.{read,read-directory,read-via-stream,stat,sync,sync-data,metadata-hash,metadata-hash-at,readlink-at,get-flags,get-type}|directory-entry-stream.read-directory-entry:alt / fs && errors / {
    if (due(component, func, "io")) { fail("io"); }
}
?wit:import:wasi:filesystem/types@0.2#descriptor.{write,write-via-stream,append-via-stream,set-size}:alt / fs && errors / {
    if (due(component, func, "insufficient-space")) { fail("insufficient-space"); }
}
?wit:import:wasi:filesystem/types@0.2#descriptor.read:before / fs && short && length > 1 / {
    if (due(component, func, "short")) { length = 1; }
}
?wit:import:wasi:filesystem/types@0.2#descriptor.{read,write,open-at,read-directory,sync,sync-data}:before / fs && latency / {
    if (due(component, func, "latency")) { delay(ms); }
}
?wit:import:wasi:filesystem/types@0.2#descriptor.{read-via-stream,write-via-stream,append-via-stream}:after / fs && result is ok / {
    streams[handle(result.ok)] = false;
}

// --- sockets
?wit:import:wasi:sockets/tcp@0.2#tcp-socket.start-connect:alt / net && errors / {
    if (due(component, func, "connection-refused")) { fail("connection-refused"); }
}
?wit:import:wasi:sockets/tcp@0.2#tcp-socket.finish-connect:alt / net && errors / {
    if (due(component, func, "timeout")) { fail("timeout"); }
}
?wit:import:wasi:sockets/tcp@0.2#tcp-socket.start-bind|tcp-socket.start-listen:alt / net && errors / {
    if (due(component, func, "access-denied")) { fail("access-denied"); }
}
?wit:import:wasi:sockets/udp@0.2#udp-socket.start-bind:alt / net && errors / {
    if (due(component, func, "access-denied")) { fail("access-denied"); }
}
?wit:import:wasi:sockets/{tcp,udp}-create-socket@0.2#*:alt / net && errors / {
    if (due(component, func, "new-socket-limit")) { fail("new-socket-limit"); }
}
?wit:import:wasi:sockets/ip-name-lookup@0.2#resolve-addresses:alt / net && errors / {
    if (due(component, func, "temporary-resolver-failure")) { fail("temporary-resolver-failure"); }
}
?wit:import:wasi:sockets/udp@0.2#{incoming-datagram-stream.receive,outgoing-datagram-stream.send}:alt / net && errors / {
    if (due(component, func, "remote-unreachable")) { fail("remote-unreachable"); }
}
?wit:import:wasi:sockets/udp@0.2#incoming-datagram-stream.receive:before / net && short && max_results > 1 / {
    if (due(component, func, "short")) { max_results = 1; }
}
?wit:import:wasi:sockets/udp@0.2#outgoing-datagram-stream.check-send:alt / net && short / {
    if (stalled[self]) { stalled[self] = false; }
    elif (due(component, func, "short")) {
        stalled[self] = true;
        return ok(0);
    }
}
?wit:import:wasi:sockets/*@0.2#tcp-socket.start-connect|resolve-addresses:before / net && latency / {
    if (due(component, func, "latency")) { delay(ms); }
}
?wit:import:wasi:sockets/tcp@0.2#tcp-socket.finish-connect:after / net && result is ok / {
    streams[handle(result.ok.0)] = false;
    streams[handle(result.ok.1)] = false;
}
?wit:import:wasi:sockets/tcp@0.2#tcp-socket.accept:after / net && result is ok / {
    streams[handle(result.ok.1)] = false;
    streams[handle(result.ok.2)] = false;
}

// --- HTTP requests that go out, and bodies
?wit:import:wasi:http/types@0.2#future-incoming-response.get:alt / http && errors / {
    if (due(component, func, "connection-timeout")) { return some(ok(err(connection-timeout))); }
}
?wit:import:wasi:http/outgoing-handler@0.2#handle:before / http && latency / {
    if (due(component, func, "latency")) { delay(ms); }
}
?wit:import:wasi:http/types@0.2#{incoming-body.stream,outgoing-body.write}:after / http && result is ok / {
    streams[handle(result.ok)] = false;
}

// --- key-value stores
?wit:import:wasi:keyvalue/{store,atomics,batch}#{open,bucket.get,bucket.set,bucket.delete,bucket.exists,bucket.list-keys,increment,get-many,set-many,delete-many}:alt / kv && errors / {
    if (due(component, func, "other")) { return err(other("chaos")); }
}
?wit:import:wasi:keyvalue/{store,atomics,batch}#{open,bucket.get,bucket.set,bucket.delete,bucket.exists,bucket.list-keys,increment,get-many,set-many,delete-many}:before / kv && latency / {
    if (due(component, func, "latency")) { delay(ms); }
}

// --- streams of all of them: what was dropped stays so
?wit:import:wasi:io/streams@0.2#input-stream.{read,blocking-read,skip,blocking-skip}|output-stream.{splice,blocking-splice}:before / short && self in streams && len > 1 / {
    if (!streams[self] && due(component, func, "short")) { len = 1; }
}
?wit:import:wasi:io/streams@0.2#input-stream.{read,blocking-read,skip,blocking-skip}|output-stream.{write,blocking-write-and-flush,flush,blocking-flush}:alt / dropped && self in streams / {
    if (streams[self]) { fail("closed"); }
    if (due(component, func, "dropped")) {
        streams[self] = true;
        fail("closed");
    }
}
?wit:import:wasi:io/streams@0.2#output-stream.check-write:alt / (dropped || short) && self in streams / {
    if (streams[self]) { fail("closed"); }
    if (dropped && due(component, func, "dropped")) {
        streams[self] = true;
        fail("closed");
    }
    if (stalled[self]) { stalled[self] = false; }
    elif (short && due(component, func, "short")) {
        stalled[self] = true;
        return ok(0);
    }
}
