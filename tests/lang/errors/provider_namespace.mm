wasi:http:types:before { }
