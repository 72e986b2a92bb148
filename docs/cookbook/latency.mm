report var latency: map<str, hist>;
wit:import:*#*:after { latency[interface + "#" + func] = hist(elapsed); }
