wasm:func:entry { const HERE = fid; }
