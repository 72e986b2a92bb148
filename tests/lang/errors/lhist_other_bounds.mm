report var h = lhist(0, 10, 1);
wasm:func:entry { h = lhist(fid, 0, 10, 2); }
