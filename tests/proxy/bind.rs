//! BIND: a connection that the destination makes.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::stand::{Proxy, alone, replied, request, rest, take};

fn begin(proxy: &Proxy, from: &str) -> (TcpStream, SocketAddr) {
    let mut stream = proxy.connect();
    let from = from.parse().expect("an address");
    let bytes = [&[5, 1, 0][..], &request(2, from)].concat();
    stream.write_all(&bytes).expect("written");
    assert_eq!(take(&mut stream, 2), [5, 0]);
    let (code, bound) = replied(&mut stream);
    assert_eq!(code, 0, "the first reply");
    (stream, bound)
}

#[test]
fn the_destination_connects_and_both_converse() {
    alone("BIND", || {
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v"]);
        for from in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            let (mut stream, bound) = begin(&proxy, from);
            // Said before anybody is there: it is passed on later.
            stream.write_all(b"early ").expect("written");
            let mut far = TcpStream::connect(bound).expect("it waits there");
            let (code, peer) = replied(&mut stream);
            assert_eq!((code, peer), (0, far.local_addr().expect("an address")));
            stream.write_all(b"words").expect("written");
            stream.shutdown(Shutdown::Write).expect("ended");
            assert_eq!(rest(&mut far), b"early words", "{from}");
            far.write_all(b"back").expect("written");
            drop(far);
            assert_eq!(rest(&mut stream), b"back");
            proxy.running.until("3/8 destination BIND");
            proxy.running.until("5/8 waits       at ");
            proxy
                .running
                .until("8/8 ended       the client ended, then the destination");
        }
    });
}

#[test]
fn a_stranger_does_not_get_in_and_a_client_that_leaves_is_noticed() {
    alone("BIND, strangers", || {
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v"]);
        let (stream, bound) = begin(&proxy, "127.0.0.2:0");
        let mut stranger = TcpStream::connect(bound).expect("it waits there");
        assert_eq!(rest(&mut stranger), b"");
        proxy.running.until("sent away: its address is not allowed");
        drop(stream);
        proxy
            .running
            .until("the client left before the destination connected");
    });
}

#[test]
fn socks4_binds_too() {
    alone("SOCKS4 BIND", || {
        let proxy = Proxy::start(&["127.0.0.1:0"]);
        let mut stream = proxy.connect();
        stream
            .write_all(&[4, 2, 0, 0, 127, 0, 0, 1, 0])
            .expect("written");
        let first = take(&mut stream, 8);
        assert_eq!(first[..2], [0, 0x5a]);
        let port = u16::from_be_bytes([first[2], first[3]]);
        let mut far = TcpStream::connect(("127.0.0.1", port)).expect("it waits there");
        assert_eq!(take(&mut stream, 8)[..2], [0, 0x5a]);
        far.write_all(b"words").expect("written");
        drop(far);
        assert_eq!(take(&mut stream, 5), b"words");
    });
}
