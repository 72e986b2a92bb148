//! Does a little of everything, and prints what error each step met.
use std::fmt::Display;
use wasip2::http::{outgoing_handler, types as http};
use wasip2::sockets::{instance_network, ip_name_lookup, network, tcp_create_socket, udp_create_socket};

fn attempt<T: Display, E: Display>(name: &str, work: impl FnOnce() -> Result<T, E>) {
    match work() {
        Ok(value) => println!("{name}: ok {value}"),
        Err(error) => println!("{name}: {error}"),
    }
}

fn io<T>(name: &str, work: impl FnOnce() -> std::io::Result<T>) {
    match work() {
        Ok(_) => println!("{name}: ok"),
        Err(error) => println!("{name}: {:?}: {error}", error.kind()),
    }
}

fn ask(peer: &str) -> Result<u16, String> {
    let request = http::OutgoingRequest::new(http::Fields::new());
    request.set_scheme(Some(&http::Scheme::Http)).map_err(|()| "set-scheme: error".to_string())?;
    request.set_authority(Some(peer)).map_err(|()| "set-authority: error".to_string())?;
    request.set_path_with_query(Some("/")).map_err(|()| "set-path: error".to_string())?;
    let waiting = outgoing_handler::handle(request, None).map_err(|error| error.to_string())?;
    waiting.subscribe().block();
    let answer = waiting.get().expect("ready").expect("first").map_err(|error| error.to_string())?;
    Ok(answer.status())
}

fn main() {
    let peer = std::env::var("PEER").unwrap_or_default();
    println!("environment: {}", std::env::var("PEER").is_ok());
    io("open", || std::fs::write("/data/note.txt", "note"));
    io("read", || std::fs::read_to_string("/data/note.txt"));
    io("mkdir", || std::fs::create_dir("/data/folder"));
    io("stat", || std::fs::metadata("/data/note.txt"));
    io("list", || std::fs::read_dir("/data")?.collect::<Result<Vec<_>, _>>());
    io("rename", || std::fs::rename("/data/note.txt", "/data/other.txt"));
    io("remove", || std::fs::remove_file("/data/other.txt"));
    io("rmdir", || std::fs::remove_dir("/data/folder"));
    attempt("connect", || -> Result<&str, network::ErrorCode> {
        let socket = tcp_create_socket::create_tcp_socket(network::IpAddressFamily::Ipv4)?;
        let at = network::IpSocketAddress::Ipv4(network::Ipv4SocketAddress { port: 9, address: (127, 0, 0, 1) });
        socket.start_connect(&instance_network::instance_network(), at)?;
        Ok("started")
    });
    attempt("send", || -> Result<u64, network::ErrorCode> {
        let socket = udp_create_socket::create_udp_socket(network::IpAddressFamily::Ipv4)?;
        let own = network::IpSocketAddress::Ipv4(network::Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) });
        let at = network::IpSocketAddress::Ipv4(network::Ipv4SocketAddress { port: 9, address: (127, 0, 0, 1) });
        socket.start_bind(&instance_network::instance_network(), own)?;
        socket.finish_bind()?;
        let (_in, out) = socket.stream(None)?;
        out.check_send()?;
        out.send(&[wasip2::sockets::udp::OutgoingDatagram { data: vec![1], remote_address: Some(at) }])
    });
    attempt("look up", || -> Result<&str, network::ErrorCode> {
        ip_name_lookup::resolve_addresses(&instance_network::instance_network(), "localhost")?;
        Ok("begun")
    });
    attempt("request", || ask(&peer));
}
