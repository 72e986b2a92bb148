const LIMIT = 5;
wasm:func:entry { LIMIT = 6; }
