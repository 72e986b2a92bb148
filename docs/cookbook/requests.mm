task var bytes: u32;
wasi:io/streams#output-stream.*write*:before { bytes += len(contents); }
wit:export:wasi:http/incoming-handler#handle:after { print("answered with {} bytes", bytes); }
