wit:before { }
