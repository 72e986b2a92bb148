task var bytes: u32;
wit:export:wasi:http/incoming-handler#handle:before { bytes = 0; }
wasi:io/streams#output-stream.*write*:before { bytes += len(contents); }
wit:export:wasi:http/incoming-handler#handle:after { print("answered with {} bytes", bytes); }
