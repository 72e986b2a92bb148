// http: requests that come in and go out, by authority and path, and the answers' status.
report var requests: map<str, u32>;
report var statuses: map<u16, u32>;

?wasi:http/types#{outgoing-request,request}.set-authority:before / authority is some / {
    requests[authority.some]++;
    print("request to {}", authority.some);
}
?wasi:http/types#{outgoing-request,request}.set-path-with-query:before / path_with_query is some / {
    print("request for {}", path_with_query.some);
}
?wasi:http/types#incoming-request.path-with-query:after / result is some / {
    print("asked for {}", result.some);
}
?wasi:http/types@0.3#request.get-path-with-query:after / result is some / {
    print("path of a request {}", result.some);
}
?wasi:http/types#{incoming-response.status,response.get-status-code}:after { statuses[result]++; }
?wasi:http/types#{outgoing-response,response}.set-status-code:before { statuses[status_code]++; }
?wasi:http/client#send:after / is_err / { print("a request failed"); }
