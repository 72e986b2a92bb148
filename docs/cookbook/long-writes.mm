param longer = 20;
wasi:io/streams#output-stream.*write*:before / len(contents) > longer / {
    print("{} bytes to stream {}", len(contents), self);
}
