wasi:sockets/tcp#*:alt { return err(acces_denied); }
