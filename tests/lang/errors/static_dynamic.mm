use lib;
wasm:opcode:call(arg0: i32):before / @static lib.check(arg0) == 1 / { }
