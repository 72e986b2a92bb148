wasm:opcode:call:before { report shared var x: u32; }
wasm:func:entry { report shared var x: u32; }
