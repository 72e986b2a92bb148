use whamm_core;
use whamm_core;
wasm:opcode:call:before { }
