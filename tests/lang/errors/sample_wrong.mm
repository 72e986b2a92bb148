wasm:func:entry / sample(100) / { }
wasm:func:exit / sample(2/3) || sample(1/0) || sample(1/fid) || sample() / { }
