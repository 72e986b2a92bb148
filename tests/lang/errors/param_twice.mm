param n = 1;
param n = 2;
wasm:func:entry { n = 3; }
