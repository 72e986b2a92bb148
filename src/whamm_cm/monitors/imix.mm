// imix: how many instructions of each category were executed.
report var arith: u64;
report var atomic: u64;
report var compare: u64;
report var constant: u64;
report var control: u64;
report var convert: u64;
report var exn: u64;
report var gc: u64;
report var global: u64;
report var load: u64;
report var local: u64;
report var memory: u64;
report var misc: u64;
report var ref: u64;
report var simd: u64;
report var store: u64;
report var table: u64;

// Which branch is taken is known at each instruction, so only one addition is left there.
wasm:opcode:*:before {
    if (category_id == 0) { arith++; }
    elif (category_id == 1) { atomic++; }
    elif (category_id == 2) { compare++; }
    elif (category_id == 3) { constant++; }
    elif (category_id == 4) { control++; }
    elif (category_id == 5) { convert++; }
    elif (category_id == 6) { exn++; }
    elif (category_id == 7) { gc++; }
    elif (category_id == 8) { global++; }
    elif (category_id == 9) { load++; }
    elif (category_id == 10) { local++; }
    elif (category_id == 11) { memory++; }
    elif (category_id == 12) { misc++; }
    elif (category_id == 13) { ref++; }
    elif (category_id == 14) { simd++; }
    elif (category_id == 15) { store++; }
    else { table++; }
}
