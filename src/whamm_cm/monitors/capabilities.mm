// capabilities: how often each imported function was called.
wit:import:*#*:before {
    report var calls: u64;
    calls++;
}
