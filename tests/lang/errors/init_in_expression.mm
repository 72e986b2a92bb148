use lib;
var x: i32;
wasm:func:entry { x = @init lib.check(1); }
