task var bytes: u64;
wit:export:wasi:http/incoming-handler#handle:before { bytes = 0; }
wasi:io/streams#output-stream.*write*:before { bytes += len(contents) as u64; }
wit:export:wasi:http/incoming-handler#handle:after { print("answered with {} bytes", bytes); }
