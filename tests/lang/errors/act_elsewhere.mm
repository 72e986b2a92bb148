wasm:func:entry { alt_call_by_id(3); }
