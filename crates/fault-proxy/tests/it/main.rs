//! The proxy between a client and a server of a few lines.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use zenekar_fault_proxy::{Counts, Fault, Plan, Proxy, Upstream};

/// What a test waits for something that must not come.
const SILENCE: Duration = Duration::from_millis(300);

/// Answers each request with its number, in chunks for every second one.
fn answer(mut stream: impl Read + Write, seen: &AtomicU32) -> io::Result<()> {
    let mut text = Vec::new();
    let mut byte = [0; 1];
    while stream.read(&mut byte)? > 0 {
        text.push(byte[0]);
        // All requests of these tests have a body of five letters.
        if text.len() > 9 && text[..text.len() - 5].ends_with(b"\r\n\r\n") {
            let number = seen.fetch_add(1, Ordering::SeqCst) + 1;
            let answer = if number.is_multiple_of(2) {
                format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nanswer {number}\r\n0\r\n\r\n"
                )
            } else {
                format!("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nanswer {number}")
            };
            stream.write_all(answer.as_bytes())?;
            text.clear();
        }
    }
    Ok(())
}

/// A server that counts the requests it has carried out.
fn server() -> (Upstream, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface works");
    let address = listener.local_addr().expect("the loopback interface works");
    let seen = Arc::new(AtomicU32::new(0));
    let theirs = Arc::clone(&seen);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&theirs);
            thread::spawn(move || answer(stream, &seen));
        }
    });
    (Upstream::Tcp(address), seen)
}

/// Sends one request and reads until the answer is complete or nothing more comes.
fn ask(stream: &mut TcpStream) -> io::Result<String> {
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")?;
    let mut text = Vec::new();
    let mut buffer = [0; 512];
    loop {
        let count = stream.read(&mut buffer)?;
        text.extend_from_slice(&buffer[..count]);
        let shown = String::from_utf8_lossy(&text).into_owned();
        let is_complete = shown.ends_with("0\r\n\r\n")
            || shown.contains("Length: 8") && shown.contains("\r\n\r\nanswer ");
        if count == 0 || is_complete {
            return Ok(shown);
        }
    }
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).expect("the loopback interface works");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("the loopback interface works");
    stream
}

#[test]
fn what_nothing_is_wrong_with_is_passed_on() {
    let (upstream, _) = server();
    let proxy = Proxy::start(upstream, Plan::calm()).unwrap();
    let mut stream = connect(&proxy);
    for number in 1..=4 {
        let text = ask(&mut stream).unwrap();
        assert!(text.contains(&format!("answer {number}")), "{text}");
    }
    assert!(ask(&mut connect(&proxy)).unwrap().contains("answer 5"));
    let counts = Counts {
        connections: 2,
        requests: 5,
        forwarded: 5,
        answered: 5,
        faults: 0,
    };
    assert_eq!(proxy.counts(), counts);
}

#[test]
fn an_answer_is_lost_after_the_request_was_carried_out() {
    let (upstream, seen) = server();
    let proxy = Proxy::start(upstream, Plan::times(Fault::Lose, 1)).unwrap();
    let error = ask(&mut connect(&proxy)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    assert!(ask(&mut connect(&proxy)).unwrap().contains("answer 2"));
}

#[test]
fn a_request_is_refused_before_it_was_carried_out() {
    let (upstream, seen) = server();
    let proxy = Proxy::start(upstream, Plan::times(Fault::Refuse, 1)).unwrap();
    let error = ask(&mut connect(&proxy)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(seen.load(Ordering::SeqCst), 0);
    assert_eq!(proxy.counts().forwarded, 0);
}

#[test]
fn an_answer_is_cut() {
    let (upstream, seen) = server();
    let proxy = Proxy::start(upstream, Plan::always(Fault::Cut(20))).unwrap();
    let text = ask(&mut connect(&proxy)).unwrap();
    assert_eq!(text, "HTTP/1.1 200 OK\r\nCon");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[test]
fn nothing_is_heard_any_more() {
    for (fault, carried_out) in [(Fault::Mute, 1), (Fault::Swallow, 0)] {
        let (upstream, seen) = server();
        let proxy = Proxy::start(upstream, Plan::always(fault)).unwrap();
        let mut stream = connect(&proxy);
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        let error = ask(&mut stream).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{fault:?}");
        assert_eq!(seen.load(Ordering::SeqCst), carried_out, "{fault:?}");
        drop(proxy);
        // The end of the proxy ends its connections.
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        assert_ne!(stream.read(&mut [0; 1]).ok(), Some(1));
    }
}

#[test]
fn an_answer_waits() {
    let (upstream, _) = server();
    let proxy = Proxy::start(upstream, Plan::times(Fault::Delay(SILENCE), 1)).unwrap();
    let start = Instant::now();
    assert!(ask(&mut connect(&proxy)).unwrap().contains("answer 1"));
    assert!(start.elapsed() >= SILENCE);
    assert_eq!(proxy.counts().faults, 1);
    proxy.set_plan(Plan::always(Fault::Refuse).only("nobody"));
    assert!(ask(&mut connect(&proxy)).unwrap().contains("answer 2"));
}

#[test]
fn a_socket_in_the_file_system_is_reached_too() {
    let path = std::env::temp_dir().join(format!("zenekar-fault-proxy-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let seen = Arc::new(AtomicU32::new(0));
    let theirs = Arc::clone(&seen);
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let _ = answer(stream, &theirs);
    });
    let proxy = Proxy::start(Upstream::Unix(path.clone()), Plan::calm()).unwrap();
    assert!(ask(&mut connect(&proxy)).unwrap().contains("answer 1"));
    std::fs::remove_file(&path).unwrap();
}
