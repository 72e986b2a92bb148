wit:import:tcp:before { }
