wasn:opcode:call:before { }
