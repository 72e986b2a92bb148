use tracer;
wasm:opcode:call:before { tracer.go(); }
