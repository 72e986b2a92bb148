frame var x: u32;
wasi:io/poll#poll:before { x++; }
